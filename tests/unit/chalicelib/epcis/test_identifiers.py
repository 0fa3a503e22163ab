"""One serial number for one thing, however its EPC is spelled, and an EPC for every serial number."""

import contextlib
import re
import time
import timeit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain import events
from chalicelib.epcis import identifiers
from tests.support import gs1_items
from tests.support.gs1_items import SEPARATOR, Item

spelled_items = gs1_items.items().flatmap(
    lambda item: st.tuples(st.just(item), st.lists(gs1_items.spellings(item), min_size=1, max_size=4))
)


@given(spelled_items)
def test_all_spellings_of_a_thing_are_one_serial_number(spelled: tuple[Item, list[str]]) -> None:
    item, spellings = spelled
    serial = identifiers.serial_of(item.urn)

    assert events.is_serial(serial)
    assert serial.startswith(f"gs1:{item.elements[0][0]}:")
    for spelling in spellings:
        assert identifiers.serial_of(spelling) == serial, spelling


@given(gs1_items.items(), gs1_items.items())
def test_two_things_never_share_a_serial_number(one: Item, other: Item) -> None:
    same = identifiers.serial_of(one.urn) == identifiers.serial_of(other.urn)

    assert same == (one.elements == other.elements)


@given(gs1_items.items().flatmap(lambda item: st.tuples(st.just(item), gs1_items.digital_links(item))))
def test_a_serial_number_of_gs1_becomes_a_digital_link(spelled: tuple[Item, str]) -> None:
    serial = identifiers.serial_of(spelled[1])

    epc = identifiers.epc_of(serial)

    assert epc.startswith("https://id.gs1.org/")
    assert identifiers.is_uri(epc)
    assert identifiers.serial_of(epc) == serial


@given(gs1_items.items())
def test_what_is_stored_under_a_urn_is_found_from_every_spelling(item: Item) -> None:
    earlier = identifiers.earlier_serial(item.urn)

    if events.is_serial(earlier):
        assert earlier in list(identifiers.earlier_serials(identifiers.serial_of(item.urn)))
        assert identifiers.plain_epc(earlier) == item.urn


@pytest.mark.parametrize(
    ("epc", "serial"),
    [
        ("urn:epc:id:sgtin:0614141.107346.S77", "gs1:01:10614141073464:21:S77"),
        ("urn:epc:id:sgtin:0614141.107346.A%2FB%3A_", "gs1:01:10614141073464:21:A_2FB_3A_5F"),
        ("https://id.gs1.org/01/614141073467/21/S77", "gs1:01:00614141073467:21:S77"),
        ("urn:epc:id:sscc:0614141.1234567890", "gs1:00:106141412345678908"),
        ("urn:epc:id:grai:4012345.55555.987", "gs1:8003:04012345555554987"),
        ("urn:epc:id:giai:4000001.12345", "gs1:8004:400000112345"),
        ("urn:epc:id:gsrn:95252084.000000001", "gs1:8018:952520840000000010"),
        ("urn:epc:id:gsrnp:95252084.000000001", "gs1:8017:952520840000000010"),
        ("urn:epc:id:gdti:95252084.0001.0003555480001000", "gs1:253:95252084000140003555480001000"),
        ("urn:epc:id:sgcn:4012345.67890.04711", "gs1:255:401234567890104711"),
        ("urn:epc:id:cpi:0614141.5PQ7%2FZ43.12345", "gs1:8010:06141415PQ7_2FZ43:8011:12345"),
        ("urn:epc:id:itip:4012345.012345.01.02.987", "gs1:8006:040123451234560102:21:987"),
        ("urn:epc:id:sgln:0614141.12345.400", "gs1:414:0614141123452:254:400"),
        ("urn:epc:id:sgln:0614141.12345.0", "gs1:414:0614141123452"),
        ("urn:epc:id:pgln:1234567.89012", "gs1:417:1234567890128"),
        ("https://id.gs1.org/8018/952520840000000010/8019/1", "gs1:8018:952520840000000010"),
        ("]Q1https://b.example/01/10614141073464/21/S77", "gs1:01:10614141073464:21:S77"),
        ("(00)106141412345678908(02)00614141123452(37)25", "gs1:00:106141412345678908"),
        ("(00)106141412345678908(401)0614141X(01)10614141073464", "gs1:00:106141412345678908"),
        (r"(01)10614141073464(21)A\(10)B", "gs1:01:10614141073464:21:A_2810_29B"),
        ("urn:epc:id:gid:95100000.12345.400", "urn:epc:id:gid:95100000.12345.400"),
        ("https://example.org/a%2Fb", "https:_2F_2Fexample.org_2Fa_252Fb"),
        ("https://example.org/01/42", "https:_2F_2Fexample.org_2F01_2F42"),
        ("urn:x-lifecycle:serial:SN-4F7K2M9Q", "SN-4F7K2M9Q"),
        ("urn:x-lifecycle:serial:urn:epc:id:sgtin:1", "urn:epc:id:sgtin:1"),
    ],
)
def test_an_epc_becomes_a_serial_number(epc: str, serial: str) -> None:
    assert identifiers.serial_of(epc) == serial


GTIN = "10614141073464"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"https://id.gs1.org/01/{GTIN[:-1]}3/21/S", f"GTIN {GTIN[:-1]}3: the check digit is 3, expected 4"),
        ("(00)106141412345678907", "SSCC 106141412345678907: the check digit is 7, expected 8"),
        ("https://id.gs1.org/8003/04843847384739X", "GRAI 04843847384739: the check digit is 9, expected 7"),
        ("https://id.gs1.org/01/0614141/21/S", "GTIN: expected 8, 12, 13 or 14 digits, got '0614141'"),
        (f"(01){GTIN}(21)A b<é", "expected 1 to 20 characters, got 'Ab<\\xe9'"),
        (f"https://id.gs1.org/01/{GTIN}/21/{'1' * 21}", "expected 1 to 20 characters"),
        (f"https://id.gs1.org/01/{GTIN}/21/a%zz", "holds '21/a%zz', which says nothing about a GS1 key"),
        (f"https://id.gs1.org/01/{GTIN}/21/A/21/B", "holds (21) behind (01), where it does not belong"),
        (f"https://id.gs1.org/01/{GTIN}/21/A/details", "ends in 'details', which belongs to no key"),
        (f"https://id.gs1.org/01/{GTIN}/colour/red", "holds 'colour/red'"),
        (f"https://b.example/01/{GTIN}/ARHKVAdpQg5R", "a compressed Digital Link has to be written out"),
        ("https://id.gs1.org/ARHKVAdpQg5RHA", "a compressed Digital Link has to be written out"),
        (f"https://b.example/8004/4000001A/01/{GTIN}", "holds (01) behind (8004)"),
        (f"(00)106141412345678908(01){GTIN}(21)S", "names 2 things, SSCC and GTIN; expected one"),
        (f"(01){GTIN}(21)A(B", "expected (application identifier) and a value at '(B'"),
        (f"(01){GTIN}(21)", "expected (application identifier) and a value at '(21)'"),
        (f"(01){GTIN}(21)A(21)B", "(21) stands there twice, with different values"),
        ("(99)A", "holds no GS1 key that names a thing"),
        ("(29)A", "no such application identifier: '29'"),
        (f"]C101{GTIN[:-2]}", "(01) is cut off"),
        (f"]C101{GTIN}21", "(21) has no value"),
        (f"]E0{GTIN}", "the symbology identifier ]E0 stands before no GS1 key"),
        ("urn:epc:id:sgtin:0614141.10734.S77", "reference: expected 6 digits, got '10734'"),
        ("urn:epc:id:sgtin:06141.10734600.S77", "company prefix: expected 6 to 12 digits, got '06141'"),
        ("urn:epc:id:sgtin:0614141.107346", "expected 3 parts with points between them, got 2"),
        ("urn:epc:id:sgtin:0614141.107346.A/B", "expected characters as an EPC writes them"),
        ("urn:epc:id:cpi:0614141.123ABC.007", "expected 1 to 12 digits, no zero first, got '007'"),
        ("urn:epc:id:itip:4012345.012345.1.2.9", "expected 2 digits, got '1'"),
        ("urn:epc:id:sgtin:٠٦١٤١٤١.107346.1", "not an EPC"),
        ("urn:epc:tag:sgtin-96:3.0614141.112345.400", "is what a tag's memory holds"),
        ("gs1:01:10614141073464:21:S77", "no such URI scheme"),
        ("SN 1", "not an EPC: 'SN 1'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        identifiers.serial_of(text)


@pytest.mark.parametrize(
    "epc",
    [
        f"https://id.gs1.org/01/{GTIN}",
        f"https://id.gs1.org/gtin/{GTIN}/lot/LOT1?21=S77",
        f"https://id.gs1.org/01/{GTIN}/10/21",
        "https://id.gs1.org/8003/04843847384737",
        "https://id.gs1.org/253/8438489238232",
        "https://id.gs1.org/255/1234567890128",
        "https://id.gs1.org/8006/040123451234560102",
        "https://id.gs1.org/8010/12345678901234",
        "https://id.gs1.org/8013/1987654Ad4X4bL5ttr2310c2K",
        f"(01){GTIN}(10)LOT1",
        f"]d201{GTIN}10LOT1",
        "urn:epc:class:lgtin:4012345.012345.998877",
        "urn:epc:idpat:grai:4843847.38473.*",
        "URN:EPC:IDPAT:SGTIN:4012345.066666.*",
    ],
)
def test_a_class_is_told_from_a_thing(epc: str) -> None:
    with pytest.raises(ValueError, match="names a class and has no serial"):
        identifiers.serial_of(epc)


@given(gs1_items.items().filter(lambda item: item.elements[0][0] not in ("8004", "401", "8010")), st.data())
def test_a_wrong_check_digit_is_named(item: Item, data: st.DataObject) -> None:
    ai, value = item.elements[0]
    place = {"00": 18, "01": 14, "253": 13, "255": 13, "402": 17, "8003": 14, "8006": 14}.get(ai, 18) - 1
    right = value[place]
    wrong = data.draw(st.sampled_from(gs1_items.DIGITS).filter(lambda digit: digit != right))
    misread = Item(((ai, value[:place] + wrong + value[place + 1 :]), *item.elements[1:]), item.urn)
    link = data.draw(gs1_items.digital_links(misread))

    with pytest.raises(ValueError, match=f"the check digit is {wrong}, expected {right}"):
        identifiers.serial_of(link)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True))
@example("gs1:01:5F")
@example("gs1:01:10614141073464:21:A_252F1")
@example("urn:x-lifecycle:serial:A")
@example("urn:epc:id:sgtin:0614141.107346.S77")
@example("https:_2F_2Fexample.org")
@example("https:_2F_2Fid.gs1.org_2F01_2F10614141073464_2F21_2FS77")
@example("a:_FF")
def test_every_serial_number_becomes_an_epc_and_itself_again(serial: str) -> None:
    epc = identifiers.epc_of(serial)

    assert identifiers.is_uri(epc)
    assert identifiers.serial_of(epc) == serial


@given(
    st.builds(
        str.__add__,
        st.sampled_from(["https://b.example/", "urn:x-", "gs1:", "A:"]),
        st.text("/:_%25FAé.~ ", max_size=20) | st.text(max_size=20),
    )
)
def test_no_two_other_uris_share_a_serial_number(epc: str) -> None:
    try:
        serial = identifiers.serial_of(epc)
    except ValueError:
        return
    assert identifiers.epc_of(serial) == epc


@given(
    st.builds(
        str.__add__,
        st.sampled_from(["", "(01)", "]C1", "01", "https://x/01/", "urn:epc:id:", "urn:epc:id:sgtin:"]),
        st.text() | st.text("()\\/.:%0123456789" + SEPARATOR),
    )
)
@example("https://x/%31%32%33%34%FF/00/%FF")
def test_no_text_is_beyond_an_answer(text: str) -> None:
    try:
        serial = identifiers.serial_of(text)
    except ValueError:
        return
    assert events.is_serial(serial)


@pytest.mark.parametrize(
    "text",
    ["https://a/01/" + "1" * 200_000 + "/21/x", "(" * 200_000, "urn:epc:id:sgtin:" + "%2F" * 70_000],
)
def test_what_is_far_too_long_is_refused_before_it_is_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"an EPC has at most 2,048 characters, got 2\d\d,\d\d\d"):
        identifiers.serial_of(text)


@pytest.mark.parametrize(
    ("begin", "repeated"),
    [
        ("https://a/", "01/1/"),
        ("https://a/01/", "1"),
        (f"https://a/01/{GTIN}/", "10/"),
        (f"(01){GTIN}(21)", "\\("),
        ("", "(01)1"),
        ("]C1", f"10A{SEPARATOR}"),
        ("urn:epc:id:giai:", "0614141."),
        ("urn:epc:id:sgtin:0614141.107346.", "%2F"),
        ("x:", "%20/"),
        ("x://", "a.:1"),
    ],
)
def test_reading_takes_time_that_grows_with_the_length_and_not_faster(begin: str, repeated: str) -> None:
    def seconds(length: int) -> float:
        text = begin + repeated * (length // len(repeated))

        def read() -> None:
            with contextlib.suppress(ValueError):
                identifiers.serial_of(text)

        return min(timeit.repeat(read, timer=time.process_time, number=20, repeat=7))

    # Four times as long: 4 when linear, 16 when quadratic.  A busy machine may spoil a comparison or two.
    assert any(seconds(2000) < 9 * seconds(500) for _ in range(5))
