"""Which field of which EPCIS event may hold what.

Only what has the right shape becomes a field of an outgoing event; anything may stand in somebody's
metadata, and a document with one wrong field is refused whole by its reader.  Follows the official JSON
schema (EPCIS-JSON-Schema.json of EPCIS 2.0).  Numbers arrive as `msgspec.Raw`, spelled as they were.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chalicelib.domain import instants
from chalicelib.epcis import contexts
from chalicelib.epcis.identifiers import is_uri
from chalicelib.epcis.vocabulary import BIZ_STEPS, DISPOSITIONS, PREFIX, words

Check = Callable[[Any], bool]

#: The fields that hold EPCs, by event type, each with whether it holds what a transformation uses up.
EPC_FIELDS: dict[str, tuple[str, ...]] = {
    "ObjectEvent": ("epcList",),
    "TransactionEvent": ("parentID", "epcList"),
    "AggregationEvent": ("parentID", "childEPCs"),
    "AssociationEvent": ("parentID", "childEPCs"),
    "TransformationEvent": ("inputEPCList", "outputEPCList"),
}

#: The fields that hold quantities of a class.
QUANTITY_FIELDS = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")

_CBV = ("urn:epcglobal:cbv", "http://ns.gs1.org/cbv/", "https://ns.gs1.org/cbv/")
_WEB_VOCABULARY = tuple(
    f"{scheme}://{host}gs1.org/voc/" for scheme in ("http", "https") for host in ("", "www.")
)

_TRANSACTIONS = words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt")
_PARTIES = words("owning_party possessing_party location")
_MEASUREMENTS = words(
    "AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Radioactivity Altitude "
    "AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum "
    "AngularVelocity Area Capacitance Conductance Conductivity Count Density Dimensionless "
    "DoseEquivalent DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent "
    "ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency Illuminance "
    "Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux "
    "LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration "
    "MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume "
    "Power Pressure RadiantFlux RadiantIntensity RelativeHumidity Resistance Resistivity SolidAngle "
    "SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume "
    "VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber"
)
_COMPONENTS = words(
    "x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting northing "
    "latitude longitude altitude"
)


def is_extension(name: str) -> bool:
    """Whether somebody else's field may be called so: a name with a namespace that is not ours."""
    return is_uri(name) and not name.startswith(PREFIX)


def is_context(value: Any) -> bool:
    """Whether this is a JSON-LD context: terms and namespaces, no two entries alike, not too large."""
    entries = value if isinstance(value, list) else [value]
    try:
        contexts.own(entries)
    except ValueError:
        return False
    distinct = all(entries[index] not in entries[:index] for index in range(len(entries)))
    return distinct and all(
        _is_terms(entry) if isinstance(entry, dict) else is_uri(entry) for entry in entries
    )


def _is_terms(entry: dict[str, Any]) -> bool:
    """Whether a context's object maps terms to names, or to objects that do."""
    left = [entry]
    while left:
        for term in left.pop().values():
            if isinstance(term, dict):
                left.append(term)
            elif not isinstance(term, str):
                return False
    return True


def is_declaration(value: Any) -> bool:
    """Whether this is an error declaration."""
    return _DECLARATION(value)


def is_whole(event: Mapping[str, Any]) -> bool:
    """Whether an event of these fields, each right in itself, has what its type demands."""
    type_ = event["type"]
    if type_ != "TransformationEvent" and "action" not in event:
        return False
    if "ilmd" in event and type_ == "ObjectEvent" and event["action"] != "ADD":
        return False
    if type_ == "TransactionEvent":
        return bool(event.get("bizTransactionList"))
    if type_ == "AssociationEvent" and "parentID" not in event:
        return False
    if type_ in ("AggregationEvent", "AssociationEvent"):
        return event["action"] == "DELETE" or _some(event, "childEPCs", "childQuantityList")
    if type_ == "TransformationEvent":
        before = _some(event, "inputEPCList", "inputQuantityList")
        after = _some(event, "outputEPCList", "outputQuantityList")
        return (before and after) or ("transformationID" in event and (before or after))
    return True


def _some(event: Mapping[str, Any], *fields: str) -> bool:
    return any(event.get(field) for field in fields)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, msgspec.Raw)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_hexadecimal(value: Any) -> bool:
    return isinstance(value, str) and value != "" and set(value) <= set("0123456789abcdefABCDEF")


def _is_time(value: Any) -> bool:
    try:
        instants.parse(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_unit(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 2 <= len(value) <= 3
        and value.isascii()
        and value.isalnum()
        and (value.upper() == value)
    )


def _word(words: frozenset[str], foreign: tuple[str, ...] = _CBV) -> Check:
    """One of these, or a URI that does not claim to be one of GS1's."""
    return lambda value: (
        isinstance(value, str) and (value in words or (is_uri(value) and not value.startswith(foreign)))
    )


def _list(check: Check, at_least: int = 0, distinct: bool = False) -> Check:
    return lambda value: (
        isinstance(value, list)
        and len(value) >= at_least
        and all(map(check, value))
        and (not distinct or len(set(value)) == len(value))
    )


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _object(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, extensible: bool = False
) -> Check:
    known = {**required, **(optional or {})}

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and required.keys() <= value.keys()
            and all(
                known[name](member) if name in known else extensible and is_uri(name)
                for name, member in value.items()
            )
        )

    return check


def _is_disposition_change(value: Any) -> bool:
    words = _list(_word(DISPOSITIONS), at_least=1, distinct=True)
    return bool(value) and _object({}, {"set": words, "unset": words})(value)


def _is_ilmd(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_uri, value))


_PLACE = _object({"id": is_uri}, extensible=True)
_QUANTITY = _object({"epcClass": is_uri}, {"quantity": _is_number, "uom": _is_unit})
_URIS = _list(is_uri)
_DISTINCT_URIS = _list(is_uri, distinct=True)

_DECLARATION = _object(
    {"declarationTime": _is_time},
    {"reason": _word(frozenset(["did_not_occur", "incorrect_data"])), "correctiveEventIDs": _URIS},
    extensible=True,
)

_SENSOR_LINKS = dict.fromkeys(
    ["deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"], is_uri
)
_REPORT = _object(
    {"type": _word(_MEASUREMENTS, _WEB_VOCABULARY)},
    {
        **_SENSOR_LINKS,
        **dict.fromkeys(
            ["microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue"], is_uri
        ),
        **dict.fromkeys(["value", "minValue", "maxValue", "meanValue"], _is_number),
        **dict.fromkeys(["sDev", "percRank", "percValue"], _is_number),
        "exception": _word(frozenset(["ALARM_CONDITION", "ERROR_CONDITION"]), _WEB_VOCABULARY),
        "time": _is_time,
        "component": _word(_COMPONENTS),
        "stringValue": _is_text,
        "booleanValue": _is_boolean,
        "hexBinaryValue": _is_hexadecimal,
        "uom": _is_text,
    },
    extensible=True,
)
_SENSOR_METADATA = _object(
    {}, {**_SENSOR_LINKS, **dict.fromkeys(["time", "startTime", "endTime"], _is_time)}, extensible=True
)
_SENSOR = _object(
    {"sensorReport": _list(_REPORT, at_least=1)}, {"sensorMetadata": _SENSOR_METADATA}, extensible=True
)

_COMMON: dict[str, Check] = {
    "@context": is_context,
    "bizStep": _word(BIZ_STEPS),
    "disposition": _word(DISPOSITIONS),
    "readPoint": _PLACE,
    "bizLocation": _PLACE,
    "bizTransactionList": _list(_object({"bizTransaction": is_uri}, {"type": _word(_TRANSACTIONS)})),
    "sourceList": _list(_object({"type": _word(_PARTIES), "source": is_uri})),
    "destinationList": _list(_object({"type": _word(_PARTIES), "destination": is_uri})),
    "sensorElementList": _list(_SENSOR),
    "certificationInfo": _either(is_uri, _URIS),
}
_ACTION: dict[str, Check] = {"action": lambda value: value in ("OBSERVE", "ADD", "DELETE")}
_ORIGIN: dict[str, Check] = {"persistentDisposition": _is_disposition_change, "ilmd": _is_ilmd}
_FAMILY: dict[str, Check] = {"parentID": is_uri, "childEPCs": _URIS, "childQuantityList": _list(_QUANTITY)}

#: What an event of each type may carry beside its time, its id and, for the first two, its EPCs.
FIELDS: dict[str, dict[str, Check]] = {
    "ObjectEvent": {**_COMMON, **_ACTION, **_ORIGIN},
    "TransactionEvent": {**_COMMON, **_ACTION, "parentID": is_uri},
    "AggregationEvent": {**_COMMON, **_ACTION, **_FAMILY},
    "AssociationEvent": {**_COMMON, **_ACTION, **_FAMILY},
    "TransformationEvent": {
        **_COMMON,
        **_ORIGIN,
        "transformationID": is_uri,
        "inputEPCList": _DISTINCT_URIS,
        "outputEPCList": _DISTINCT_URIS,
        "inputQuantityList": _list(_QUANTITY),
        "outputQuantityList": _list(_QUANTITY),
    },
}
