"""How personal data is written: shapes, the checksums that tell it from other numbers, and words that announce it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple


class Rule(NamedTuple):
    """One way in which one kind of personal data is written."""

    label: str
    shape: re.Pattern[str]
    valid: Callable[[str], bool] | None = None
    """What tells it from other text of that shape."""
    near: re.Pattern[str] | None = None
    """Words of which one has to be near, where shape and checksum say too little."""
    hints: Sequence[str] = ()
    """In lower case, the characters of which some are in every text that has such a place; without them, a digit is in
    every such place."""


def _shape(pattern: str) -> re.Pattern[str]:
    """Neither in a word nor in a longer number."""
    return re.compile(rf"(?<![\w.,+@/-])(?:{pattern})(?![\w@]|[-.,/]\d)", re.IGNORECASE)


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(words)})(?![^\W_])", re.IGNORECASE)


def _stdnum(module: str) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        return bool(import_module(f"stdnum.{module}").is_valid(text))  # imported only where a text has such a number

    return valid


def luhn(text: str) -> bool:
    """True if the digits of a text end in their check digit, as those of payment cards do."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_BRANDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d*|3[47]\d{13}|3(?:0[0-5]|[689])\d*"
    r"|35\d{14}|(?:1800|2131)\d{11}|6(?:011|4[4-9]|5|2)\d*"
)


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and _BRANDS.fullmatch(digits) is not None and luhn(digits)


def _ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,4}(?:xn--[a-z0-9-]{2,59}|[a-z]{2,24})"
_COMMON = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,4}(?:com|org|net|edu|gov|info|biz)"
"""A host without a scheme; of other endings there are files, abbreviations and sentences without a space."""
_REST = r"(?:[/?#](?:[^\s<>\"'`]*[^\s<>\"'`.,;:!?*_)\]}])?)?"
_LOCAL = r"[\w+%!#$&'*/=?^{|}~-][\w.+%!#$&'*/=?^{|}~-]{0,63}"
_EMAIL = rf"(?<![\w.+%!#$&'*/=?^{{|}}~-]){_LOCAL}(?<!\.)@{_HOST}(?![\w@-])"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_QUAD = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_NINO = r"(?-i:(?![DFIQUV]|.[DFIQUVO]|BG|GB|KN|NK|NT|TN|ZZ)[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D])"
_BITCOIN = re.compile(r"(?<!\w)(?:[13][a-km-zA-HJ-NP-Z1-9]{25,34}|bc1[a-z0-9]{11,71})(?!\w)")
_CARD = r"\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}"

_ENDINGS = ("www.", ".com", ".org", ".net", ".edu", ".gov", ".info", ".biz")
_CARDS = _words(
    "cards?", "credit", "debit", "visa", "mastercard", "maestro", "amex", "american express", "diners", "jcb"
)
_SOCIAL = _words("ssn", "social security(?: number| no)?")

RULES: Sequence[Rule] = (
    Rule("EMAIL_ADDRESS", re.compile(_EMAIL, re.IGNORECASE), hints=("@",)),
    Rule("DOMAIN_NAME", _shape(rf"(?:https?|ftp)://(?:{_HOST}|{_QUAD}|localhost)(?::\d+)?{_REST}"), hints=("://",)),
    Rule("DOMAIN_NAME", _shape(rf"(?:www\.{_HOST}|{_COMMON})(?![\w-])(?::\d+)?{_REST}"), hints=_ENDINGS),
    Rule(
        "IP_ADDRESS", _shape(_QUAD), None, _words("ip", "ipv4", "address", "host", "server", "client", "logged in from")
    ),
    Rule("IP_ADDRESS", re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE), _ipv6),
    Rule("MAC_ADDRESS", _shape(r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}")),
    Rule(
        "IBAN_CODE",
        _shape(r"(?-i:[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)|[a-z]{2}\d{2}[a-z0-9]{8,30}"),
        _stdnum("iban"),
    ),
    Rule("CREDIT_CARD", _shape(_CARD), _card),
    Rule("CREDIT_CARD", _shape(_CARD), luhn, _CARDS),
    Rule("US_SSN", _shape(r"(?!000|666|9)\d{3}([ -])(?!00)\d{2}\1(?!0000)\d{4}")),
    Rule("US_SSN", _shape(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}"), None, _SOCIAL),
    Rule("US_ITIN", _shape(r"9\d{2}([ -]?)\d{2}\1\d{4}"), _stdnum("us.itin"), _words("itin", "taxpayer", "tax id")),
    Rule("UK_NHS", _shape(r"\d{3}[ -]?\d{3}[ -]?\d{4}"), _stdnum("gb.nhs"), _words("nhs")),
    Rule("UK_NINO", _shape(_NINO), None, _words("nino", "national insurance", "ni number")),
    Rule("ES_DNI", _shape(r"\d{8}-?[a-z]"), _stdnum("es.dni")),
    Rule("ES_NIE", _shape(r"[xyz]-?\d{7}-?[a-z]"), _stdnum("es.nie")),
    Rule("IT_FISCAL_CODE", _shape(r"[a-z]{6}\d{2}[a-z]\d{2}[a-z]\d{3}[a-z]"), _stdnum("it.codicefiscale")),
    Rule("FR_NIR", _shape(r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[ab]) ?\d{3} ?\d{3} ?\d{2}"), _stdnum("fr.nir")),
    Rule("DE_TAX_ID", _shape(r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}"), _stdnum("de.idnr"), _words(r"steuer\w*", "idnr", "tin")),
    Rule("PL_PESEL", _shape(r"\d{11}"), _stdnum("pl.pesel"), _words("pesel")),
    Rule("NL_BSN", _shape(r"\d{9}"), _stdnum("nl.bsn"), _words("bsn", "burgerservicenummer", "sofinummer")),
    Rule("SE_PERSONNUMMER", _shape(r"(?:19|20)?\d{6}[-+]\d{4}"), _stdnum("se.personnummer")),
    Rule("FI_HETU", _shape(r"\d{6}[-+a]\d{3}[0-9a-y]"), _stdnum("fi.hetu")),
    Rule("CA_SIN", _shape(r"\d{3}[ -]?\d{3}[ -]?\d{3}"), _stdnum("ca.sin"), _words("sin", "social insurance")),
    Rule("AU_TFN", _shape(r"\d{3} ?\d{3} ?\d{2,3}"), _stdnum("au.tfn"), _words("tfn", "tax file")),
    Rule("BR_CPF", _shape(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), _stdnum("br.cpf")),
    Rule("IN_AADHAAR", _shape(r"[2-9]\d{3} ?\d{4} ?\d{4}"), _stdnum("in_.aadhaar"), _words("aadhaa?r", "uidai")),
    Rule("MX_CURP", _shape(r"[a-z]{4}\d{6}[hm][a-z]{5}[0-9a-z]\d"), _stdnum("mx.curp")),
    Rule("BITCOIN_ADDRESS", _BITCOIN, _stdnum("bitcoin")),
)
"""In the order of precedence; phone numbers, which are the least certain, come after them."""

KINDS: Sequence[str] = (*dict.fromkeys(rule.label for rule in RULES), "PHONE_NUMBER")
