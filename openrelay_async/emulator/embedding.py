"""`Emulator`: the service inside a process, for tests, notebooks and demos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from openrelay_async.clock import Clock
from openrelay_async.emulator.areas.account.founding import (
    FoundedOrganization,
    find_first_owner,
    found_organization,
    open_session,
    sign_in,
)
from openrelay_async.emulator.areas.webhooks.storage import Delivery, list_attempts
from openrelay_async.emulator.arguments import find_text_problem, require
from openrelay_async.emulator.call import Settings
from openrelay_async.emulator.clocks import FastClock, TurnedClock
from openrelay_async.emulator.faults import Fault, FaultPlan, RateLimit
from openrelay_async.emulator.fleet import Fleet
from openrelay_async.emulator.modelled import list_tables
from openrelay_async.emulator.options import (
    EmulatorOptions,
    Generation,
    check_contents,
    check_entrances,
    check_place,
    check_time,
)
from openrelay_async.emulator.passwords import Password
from openrelay_async.emulator.scripting import add_runner_job, enroll_node, move_vm, sicken_replica
from openrelay_async.emulator.seen import RequestLog, SeenRequest
from openrelay_async.emulator.storage import Database, EmulatorError
from openrelay_async.emulator.threads import InThread
from openrelay_async.redaction import Secret

if TYPE_CHECKING:
    from openrelay_async.client import AsyncClient
    from openrelay_async.emulator.running import Running

T = TypeVar("T")


class Emulator:
    """The OpenRelay service on a port of this machine.

    `async with Emulator() as emulator:` runs it in the current event loop, `with Emulator.in_thread() as
    emulator:` in a thread of its own (for sync code, and with `start()` and `stop()` for notebooks). Several
    run side by side; nothing is shared between them.

    Args:
        db: a file for the state, or `":memory:"`.
        host: where to listen; loopback, since it speaks plain HTTP.
        port: 0 takes a free one.
        speed: how many seconds pass in the emulator in one second.
        clock: another clock instead, such as a `TurnedClock`; `speed` must be 1 then.
        generation: which generation of the service to be.
        faults: what goes wrong; more can be added to `faults` later.
        rate_limit: requests per second that a key may make; more answer 429.
        seed: ids follow from it.
        fleet: GPUs per model where there shall be other numbers: `{"rtx-4090": 10_000}`.
        organization: name of the organization that is there at the start.
        credit_cents: the balance that organizations begin with; what runs is stopped when it is used up.
        dashboard: serve the page of API keys at `dashboard_url`.
        control: serve the control endpoints under `/_emulator/`, which need no key.
        password: with it anyone can sign in at the control endpoints and the dashboard, as any user.

    Raises:
        ConfigurationError: an argument that cannot be meant.
        EmulatorError: on entering: the port is taken, or the file is not usable.
    """

    def __init__(
        self,
        *,
        db: str = ":memory:",
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        clock: Clock | None = None,
        generation: Generation = "both",
        faults: Iterable[Fault] = (),
        rate_limit: float | None = None,
        seed: int = 0,
        fleet: Mapping[str, int] | None = None,
        organization: str = "Acme",
        credit_cents: int = 10_000_000,
        dashboard: bool = False,
        control: bool = False,
        password: str | None = None,
    ) -> None:
        self._db = check_place(db, host, port)
        check_time(speed, clock, rate_limit)
        check_contents(generation, seed, organization, credit_cents)
        check_entrances(dashboard, control, password)
        self.faults = FaultPlan(faults)
        """What goes wrong: `emulator.faults.add(Fault(...))`, `.clear()`."""
        self._settings = Settings(generation, Fleet({} if fleet is None else fleet), credit_cents)
        self._seed = seed
        self._host, self._port, self._speed, self._clock = host, port, speed, clock
        self._rate_limit = RateLimit(rate_limit) if rate_limit is not None else None
        self._organization = organization
        self._has_dashboard, self._has_control = dashboard, control
        self._password = Password(password)
        self._requests = RequestLog()
        self._running: Running | None = None
        self._url = ""
        self._deliveries: list[Delivery] = []
        """Those of before the end."""
        self._api_key: Secret | None = None
        self._session_token = Secret("")
        self._org_id = ""

    def __repr__(self) -> str:
        where = self._url if self._running else "ended" if self._url else "not started"
        return f"Emulator({where}, db={self._db!r}, generation={self._settings.generation!r})"

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the database, found the first organization if there is none, accept requests."""
        if self._running is not None:
            raise EmulatorError("this emulator is running already")
        from openrelay_async.emulator.running import run  # aiohttp.web takes 0.2 s to load

        database = Database(self._db, list_tables(), seed=self._seed)
        try:
            if self._clock is None:
                last = float(database.read_meta("time") or 0.0)
                self._clock = FastClock(speed=self._speed, not_before=last)
            self._running = await run(
                database,
                self._clock,
                self._settings,
                self.faults,
                self._requests,
                host=self._host,
                port=self._port,
                rate_limit=self._rate_limit,
                speed=self._speed,
                has_dashboard=self._has_dashboard,
                sign_in=self.sign_in if self._password.is_set else None,
                operated=self if self._has_control else None,
                settle=self._settle,
            )
        except BaseException:
            database.close()
            raise
        self._url = self._running.server.url

    def _settle(self, database: Database, now: float) -> None:
        owner = find_first_owner(database)
        if owner is None:
            self._found(database, now)
            return
        self._org_id = owner.org_id
        self._session_token = Secret(open_session(database, owner.id, owner.org_id, now))

    def _found(self, database: Database, now: float) -> FoundedOrganization:
        founded = found_organization(database, self._settings, self._organization, now)
        self._org_id = founded.org_id
        self._api_key, self._session_token = Secret(founded.api_key), Secret(founded.session_token)
        return founded

    async def stop(self) -> None:
        """Close the port and the database; a file keeps its state.

        What there was to see (`url`, `requests`, `deliveries`, keys) can still be read.
        """
        running, self._running = self._running, None
        if running is not None:
            self._deliveries = await running.stop()

    @classmethod
    def in_thread(cls, **options: Unpack[EmulatorOptions]) -> InThread[Self]:
        """The same in a thread and a loop of its own; an error at the start is raised where it is started.

        `with Emulator.in_thread() as emulator:` runs it for a block. `start()` and `stop()` are for what no
        block can span, such as the cells of a notebook; keep what they are called on:

            service = Emulator.in_thread(speed=10)
            emulator = service.start()
            client = openrelay_sync.Client(emulator.api_key, base_url=emulator.url)

            client.vms.list()       # in any later cell

            client.close()
            service.stop()
        """
        return InThread(cls(**options), "openrelay-emulator")

    def _require_started(self) -> None:
        if not self._url:
            raise EmulatorError("the emulator has not been started: use `async with Emulator() as emulator`")

    def _require_running(self) -> Running:
        if self._running is None:
            raise EmulatorError("the emulator is not running")
        return self._running

    # What tests use

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`: both the control plane and the inference host."""
        self._require_started()
        return self._url

    @property
    def dashboard_url(self) -> str:
        """Where the page of API keys is, if the emulator was started with `dashboard=True`."""
        return f"{self.url}/dashboard"

    @property
    def org_id(self) -> str:
        self._require_started()
        return self._org_id

    @property
    def api_key(self) -> str:
        """A key with every scope of the first organization.

        Raises:
            EmulatorError: not started yet; or the file had keys already, and they are hashed.
        """
        self._require_started()
        if self._api_key is None:
            raise EmulatorError(
                "the keys of this file are hashed: use one you kept, or session_token to mint one"
            )
        return self._api_key.reveal()

    @property
    def has_api_key(self) -> bool:
        """Is the first key known? Not on a file that had keys already."""
        return self._api_key is not None

    @property
    def session_token(self) -> str:
        """A dashboard session of the owner, for operations that refuse keys."""
        self._require_started()
        return self._session_token.reveal()

    @property
    def clock(self) -> Clock:
        """The clock that lifecycles follow."""
        if self._clock is None:
            raise EmulatorError("the emulator is not running")
        return self._clock

    @property
    def requests(self) -> list[SeenRequest]:
        """The last 20,000 requests, oldest first, as far as they were answered or cut off."""
        return self._requests.list_all()

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to deliver to a webhook that was made and has ended, in the order of their times.

        `client.webhooks.list_deliveries` also has those that are planned or under way, as `pending`.
        After the end the last 20,000 can still be read.
        """
        if self._running is None:
            self._require_started()
            return list(self._deliveries)
        return self._change(lambda database, now: list_attempts(database))

    async def settle(self) -> None:
        """Return when every delivery that is due by now was attempted: call it after turning the clock."""
        await self._require_running().settle()

    def clear_requests(self) -> None:
        """Forget the requests that were seen."""
        self._requests.clear()

    def client(self, **options: object) -> AsyncClient:
        """A client with the first key of the first organization; options are those of `AsyncClient`."""
        from openrelay_async.client import AsyncClient

        self._require_running()
        places = {"base_url": self.url, "inference_url": self.url, "org_id": self.org_id}
        given: dict[str, object] = {**places, **options}
        if "api_key" not in given:
            given["api_key"] = self.api_key
        return AsyncClient(**cast("dict[str, Any]", given))

    def add_organization(self, name: str) -> FoundedOrganization:
        """Another organization: `org_id`, `api_key`, `session_token`, `user_id`."""
        require("name", find_text_problem(name))
        return self._change(lambda database, now: found_organization(database, self._settings, name, now))

    def open_session(self, email: str) -> str:
        """A session token of the user with this e-mail address, who is made if there is none."""
        require("email", find_text_problem(email, what="an e-mail address"))
        return self._change(lambda database, now: sign_in(database, email, now))

    def sign_in(self, email: str, password: str) -> str:
        """`open_session`, for who knows the password that was given at the start.

        Raises:
            Refusal: 403 if none was given, 401 if it is another one, 400 for what is no address.
        """
        self._password.admit(email, password)
        return self.open_session(email)

    def advance(self, seconds: float) -> None:
        """Turn the clock forward, whichever it is."""
        clock = self.clock
        if not isinstance(clock, FastClock | TurnedClock):
            raise EmulatorError("this clock cannot be turned")
        if isinstance(clock, FastClock):
            self._change(lambda database, now: clock.advance(seconds))
        else:
            clock.advance(seconds)

    def reset(self) -> FoundedOrganization:
        """Begin anew: an empty service, a new first organization, no faults, no requests."""

        def clear(database: Database, now: float) -> FoundedOrganization:
            database.clear()
            return self._found(database, now)

        founded = self._change(clear)
        self.faults.clear()
        self.clear_requests()
        return founded

    def move_vm(self, vm_id: str, status: str, *, reason: str | None = None, after: float = 0.0) -> None:
        """Let a VM come into `status` in `after` seconds, such as `failed` or `interrupted`."""
        self._change(lambda database, now: move_vm(database, vm_id, status, reason, after, now))

    def add_runner_job(
        self,
        pool_id: str,
        *,
        repository: str = "app",
        size: str = "small",
        lasting: float = 60,
        fails: bool = False,
    ) -> str:
        """Let a job come in from GitHub, and end `lasting` seconds after it began to run; its id."""
        return self._change(
            lambda database, now: add_runner_job(
                database, pool_id, repository, size, lasting, now, fails=fails
            )
        )

    def enroll_node(self, token: str, *, gpu_model_id: str = "rtx-4090", gpus: int = 8) -> str:
        """Let a machine come with a provisioning token; the id of the provider's new node."""
        return self._change(lambda database, now: enroll_node(database, token, gpu_model_id, gpus, now))

    def sicken_replica(
        self, cluster_id: str, index: int = 0, *, after: float = 0.0, lasting: float | None = None
    ) -> None:
        """Let a replica be unhealthy, and its cluster degraded, in `after` seconds, for `lasting` seconds."""
        self._change(lambda database, now: sicken_replica(database, cluster_id, index, after, lasting, now))

    def _change(self, change: Callable[[Database, float], T]) -> T:
        return self._require_running().change(change)
