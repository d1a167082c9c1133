"""`Setting`: one environment variable that the code of a plugin reads."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Setting:
    """`place` is the first place that reads it, `default` what the code takes if it is not set, "" if that is not plain."""

    name: str
    place: str
    is_needed: bool = False
    at_import: bool = False  # needed before the plugin can serve at all
    default: str = ""
    others: tuple[str, ...] = ()  # names that do as well
    ignores_case: bool = False
    files: tuple[str, ...] = ()  # in which pydantic_settings looks too

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, *self.others

    def joined(self, other: Setting) -> Setting:
        """Both as one: of what another place reads."""
        return replace(
            self,
            is_needed=self.is_needed or other.is_needed,
            at_import=self.at_import or other.at_import,
            default=self.default or other.default,
            files=self.files or other.files,
        )
