"""What the browser's tests look at and look for."""

from chalicelib.api import auth

#: A script in a field, which must stay text.
SCRIPT = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"

#: As long as a serial gets.
LONG = "SN-" + "X" * 120

#: The token of the guarded API.
TOKEN = auth.new_token()
