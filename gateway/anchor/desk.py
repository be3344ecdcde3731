"""What an anchor says: its own configuration, statements about regions, news."""

from gateway.anchor.home import AnchorHome
from gateway.anchor.register import Enrolment, Register
from gateway.clock import Clock
from gateway.federation.trust.news import NEWS_PATH, NEWS_TYPE, news_claims
from gateway.federation.trust.statement import REGION_METADATA, STATEMENT_TYPE

FETCH_PATH = "/federation/fetch"
LIST_PATH = "/federation/list"


class AnchorDesk:
    """Says what the register has, as it and the key stand on disk; one event loop's own.

    Raises OSError and NoAnchor where one of them cannot be read: then nothing is said.
    """

    def __init__(self, home: AnchorHome, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        # None begins that could say nothing.
        home.key()
        self._seen: tuple[int, int] | None = None
        self._register = home.register()
        self._news: tuple[int, int, str] = (0, 0, "")

    @property
    def entity_id(self) -> str:
        """The anchor's entity identifier."""
        return self._register.entity_id

    def register(self) -> Register:
        """Return the register as it stands; read anew where its file is another."""
        status = self._home.register_file.stat()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._register = self._home.register()
            self._seen = seen
        return self._register

    def configuration(self) -> str:
        """Return the anchor's entity configuration (OpenID Federation 1.0, section 9)."""
        register, key, now = self.register(), self._home.key(), self._clock.now()
        anchor = register.entity_id
        superior = register.superior
        return key.sign(
            {
                # An intermediate names who stands above it, an anchor nobody.
                **({} if superior is None else {"authority_hints": [superior]}),
                "iss": anchor,
                "sub": anchor,
                "iat": now,
                "exp": now + register.life_seconds,
                "jwks": key.jwks,
                "metadata": {
                    "federation_entity": {
                        "federation_fetch_endpoint": anchor.rstrip("/") + FETCH_PATH,
                        "federation_list_endpoint": anchor.rstrip("/") + LIST_PATH,
                        "federation_news_endpoint": anchor.rstrip("/") + NEWS_PATH,
                    }
                },
            },
            STATEMENT_TYPE,
        )

    def statement(self, entity_id: str) -> str | None:
        """Return what the anchor states of a region (section 8.1); None for one that is not
        enrolled, or is cut off."""
        register, now = self.register(), self._clock.now()
        region = register.regions.get(entity_id)
        if region is None or region.cut_off_at is not None:
            return None
        return self._home.key().sign(_statement(register, entity_id, region, now), STATEMENT_TYPE)

    def standing(self) -> list[str]:
        """Return the entities right below that are not cut off (section 8.2)."""
        regions = self.register().regions
        return sorted(name for name, region in regions.items() if region.cut_off_at is None)

    def number(self) -> int:
        """Return the number of the news of the moment."""
        return self.register().number

    def news(self) -> str:
        """Return the news, signed this second."""
        register, now = self.register(), self._clock.now()
        if self._news[:2] != (register.number, now):
            claims = news_claims(
                register.entity_id,
                now,
                register.number,
                register.standing(),
                register.cut_offs(),
                {name: each.under for name, each in register.below.items()},
            )
            self._news = (register.number, now, self._home.key().sign(claims, NEWS_TYPE))
        return self._news[2]


def _statement(
    register: Register, entity_id: str, region: Enrolment, now: int
) -> dict[str, object]:
    codes = list(region.codes)
    return {
        "iss": register.entity_id,
        "sub": entity_id,
        "iat": now,
        "exp": now + register.life_seconds,
        "jwks": region.jwks,
        # What a region is home of is the anchor's to say; what one is below an intermediate is the
        # intermediate's, within what is the anchor's to say of that.
        "metadata_policy": {
            REGION_METADATA: {
                "codes": {"subset_of": codes} if region.intermediate else {"value": codes}
            }
        },
        "constraints": _constraints(region),
        "revision": region.revision,
        "tls_roots": region.tls_roots,
    }


def _constraints(region: Enrolment) -> dict[str, object]:
    """Return what is allowed of the chain below an entity: regions, as many levels as there are,
    and names of them (section 6.2)."""
    if not region.intermediate:
        return {"max_path_length": 0}
    naming = {"naming_constraints": {"permitted": list(region.hosts)}} if region.hosts else {}
    return {"max_path_length": 1, "allowed_entity_types": [REGION_METADATA], **naming}
