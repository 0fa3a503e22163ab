"""Names that AWS would give to functions and their roles, for events, contexts and failure messages."""

#: The account that local endpoints play.
ACCOUNT = "000000000000"


def function(name: str, region: str, account: str = ACCOUNT) -> str:
    """A function's unqualified ARN."""
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def role(name: str, account: str = ACCOUNT) -> str:
    """The ARN of a function's execution role."""
    return f"arn:aws:iam::{account}:role/{name}"
