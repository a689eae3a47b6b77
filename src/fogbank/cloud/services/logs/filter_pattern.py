"""The filter patterns of FilterLogEvents for unstructured lines (CloudWatch Logs User Guide,
"Filter pattern syntax"): text in, a question about one message out.

`ERROR`            the message has it (case matters)
`ERROR "disk full"` it has both; quotes keep spaces and signs together
`?ERROR ?WARN`     it has one of them
`ERROR -EXITING`   it has the one and not the other
``                 anything

Selectors for JSON (`{ $.level = "error" }`) and for fields by place (`[ip, user, ...]`) are
refused: no answer is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.cloud.services.logs.directory import invalid

_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class FilterPattern:
    """all_of: every one has to be there; any_of: one of them, unless there are `all_of` terms, in
    which case AWS ignores them; none_of: none may be there."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        if any(term in message for term in self.none_of):
            return False
        if self.all_of:
            return all(term in message for term in self.all_of)
        return not self.any_of or any(term in message for term in self.any_of)


def parse_filter_pattern(text: str) -> FilterPattern:
    """Raises InvalidParameterException for what is no pattern, or one of the refused kinds."""
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        raise invalid(
            "Fogbank's FilterLogEvents does not take JSON or space-delimited selectors "
            f'({stripped[0]} ... ) yet: use terms, such as ERROR, "two words", ?one ?or -not.'
        )
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    position = 0
    while position < len(stripped):
        match = _TERM.match(stripped, position)
        if match is None:
            raise invalid("Invalid filter pattern")
        quoted = match["quoted"]
        term = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if quoted is None and not re.fullmatch(r"[\w%/.:*$@=+-]+", term):
            # AWS asks for quotes around terms with other signs.
            raise invalid(f"Invalid filter pattern: put quotes around {term}")
        found[match["sign"]].append(term)
        position = match.end()
    return FilterPattern(tuple(found[""]), tuple(found["?"]), tuple(found["-"]))
