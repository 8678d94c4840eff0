"""Every request through every layer, event by event: browser, CDN, nginx, memory, bucket, render.

The layers do what `docs/architecture.md` and `nginx/imgbang.conf` say: nginx asks a replica again after a second; the
replica answers 304 from what it knows of the original while that is fresh; otherwise it finds the result in memory or
with one read of the bucket, and looks at the original with one HEAD; a cold request is a read that finds nothing, a
read of the original (unless it is still staged) and a write.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.scale.caches import ByteLru, TtlCache
from bench.scale.closed_forms import ttl_hit_ratio
from bench.scale.ring import Ring
from bench.scale.steady import Steady
from bench.scale.tally import (
    BUCKET,
    CDN,
    COLD,
    FETCH,
    JOINED,
    KNOWN,
    LOOK,
    MEMORY,
    MISSED,
    NGINX,
    READ,
    SHIELD,
    WRITE,
    Tally,
)
from bench.scale.traffic import Asked, Trace, new_places, spread
from bench.scale.world import Change, Edit, Join, Leave, PurgeCdn, Restart, Routing, World

HEADER_BYTES = 600.0
"""Of an answer, body aside."""
_FACTORS = 4096


class Stored(NamedTuple):
    """A result in the bucket."""

    generation: int
    ready: float
    """When its render ended; before, it can be joined."""
    maker: int


class Copy(NamedTuple):
    """What nginx keeps."""

    generation: int
    checked: float


class Replica:
    """What one replica holds in memory."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.memory: ByteLru[int] = ByteLru(world.fleet.memory_bytes)
        self.seen: dict[int, float] = {}
        self.staged: dict[int, float] = {}
        self.away = False
        self.chance = world.warm

    def restart(self) -> None:
        """Begin with nothing."""
        self.memory.clear()
        self.seen.clear()
        self.staged.clear()
        self.chance = False


class Simulation:
    """One run. `render_seconds` says how long a render takes: preset, megapixels."""

    def __init__(
        self,
        world: World,
        trace: Trace,
        *,
        render_seconds: Callable[[int, float], float] = lambda _preset, _megapixels: 0.1,
        seed: int = 1,
        warm_up: float = 0.0,
        bin_seconds: float = 5.0,
        factors: float = 0.6,
    ) -> None:
        self.world = world
        self.tally = Tally()
        self._trace = trace
        self._render_seconds = render_seconds
        self._warm_up = warm_up
        self._bin = bin_seconds
        self._chance = random.Random(seed)
        self._presets = len(world.traffic.presets)
        self._steady = Steady(world)
        chance = self._chance if world.warm else None
        ttl = world.cdn.ttl if world.cdn else 0.0
        self._cdn = [TtlCache(ttl, chance) for _ in range(self._presets)]
        self._shield = [TtlCache(ttl, chance) for _ in range(self._presets)]
        self._nginx: list[ByteLru[Copy]] = [ByteLru(world.fleet.nginx_bytes) for _ in range(world.fleet.nginx)]
        self._servers = list(world.servers) or [f"10.0.0.{n + 1}:8080" for n in range(world.fleet.replicas)]
        self._replicas = [Replica(number, world) for number in range(len(self._servers))]
        self._results: dict[int, Stored | None] = {}
        self._generation = [0] * self._presets
        self._new: dict[int, int] = {}
        self._next_new = world.traffic.pictures
        self._factors = spread(_FACTORS, factors, 2)
        median, sigma = world.traffic.megapixels
        self._megapixels = [median * factor for factor in spread(_FACTORS, sigma, 3)]
        self._owners: dict[int, Replica] = {}
        self._ring = self._make_ring()
        if world.warm:
            self._fill()

    def run(self) -> Tally:
        """Send every request through, with the changes in their time."""
        tally, trace = Tally(), self._trace
        last = trace.at[-1] if len(trace) else 0.0
        due: list[tuple[float, Change | int]] = [(change.at, change) for change in self.world.changes]
        restarts = [change for change in self.world.changes if isinstance(change, Restart)]
        due += [(change.at + change.seconds, ~change.replica) for change in restarts]
        due += new_places(self.world, last, 4)
        due.sort(key=lambda one: one[0], reverse=True)
        self.tally = Tally()  # of the warm-up: thrown away
        for asked in trace:
            if asked.at >= self._warm_up:
                self.tally = tally
            while due and due[-1][0] <= asked.at:
                self._apply(due.pop()[1])
            self._ask(asked)
        tally.seconds = last - self._warm_up
        return tally

    # One request, layer by layer.

    def _ask(self, asked: Asked) -> None:
        now, rank, preset = asked.at, asked.rank, asked.preset
        picture = self._new.get(rank, rank)
        place = picture * self._presets + preset
        size = self.world.traffic.presets[preset].size * self._factors[place * 2_654_435_761 % _FACTORS]
        tally = self.tally
        tally.requests += 1
        tally.edge_bytes += HEADER_BYTES + (0.0 if asked.revalidates else size)
        if (cdn := self.world.cdn) is not None:
            rate = self._steady.rate(rank, preset) / cdn.pops if picture == rank else 0.0
            if self._cdn[preset].hit(place * cdn.pops + asked.pop, now, rate):
                tally.layers[CDN] += 1
                return
            if cdn.shield:
                missed = cdn.pops * rate / (1 + rate * cdn.ttl)
                if self._shield[preset].hit(place, now, missed):
                    tally.layers[SHIELD] += 1
                    return
            tally.origin_bytes += HEADER_BYTES + size
        else:
            tally.origin_bytes += HEADER_BYTES + (0.0 if asked.revalidates else size)
        self._count("requests", now)
        tally.layers[self._pass_nginx(asked, picture, place, size)] += 1

    def _pass_nginx(self, asked: Asked, picture: int, place: int, size: float) -> str:
        cache = self._nginx[asked.nginx]
        copy = cache.get(place)
        now = asked.at
        # nginx counts whole seconds: a copy that is good for one is used for up to two.
        if copy is not None and int(now) - int(copy.checked) <= self.world.fleet.nginx_ttl:
            return NGINX
        layer = self._answer(self._replica(picture), asked, picture, size, copy)
        cache.put(place, Copy(self._generation[asked.preset], now), size)
        return layer

    def _answer(self, replica: Replica, asked: Asked, picture: int, size: float, copy: Copy | None) -> str:
        now, generation = asked.at, self._generation[asked.preset]
        place = picture * self._presets + asked.preset
        fresh = self._is_fresh(replica, picture, asked.rank, now)
        if copy is not None and not fresh and replica.memory.get(place) != generation:
            self._look(replica, picture, now)
            fresh = True
        if fresh and copy is not None and copy.generation == generation:
            return KNOWN
        stored = self._results.get(place)
        rendering = stored is not None and stored.generation == generation and now < stored.ready
        if stored is not None and rendering and (stored.maker == replica.number or self.world.fleet.leases):
            return JOINED
        if replica.memory.get(place) == generation:
            if not fresh:
                self._look(replica, picture, now)
            return MEMORY
        stored = self._stored(asked, picture, place)
        if rendering:
            self.tally.duplicates += 1
        elif stored is not None and stored.generation == generation:
            self._call(READ, now)
            replica.memory.put(place, generation, size)
            if not fresh:
                if now - stored.ready < self.world.fleet.freshness:
                    replica.seen[picture] = stored.ready
                else:
                    self._look(replica, picture, now)
            return BUCKET
        self._render(replica, asked, picture, place, size)
        return COLD

    def _render(self, replica: Replica, asked: Asked, picture: int, place: int, size: float) -> None:
        now, tally = asked.at, self.tally
        self._call(MISSED, now)
        megapixels = self._megapixels[picture * 2_654_435_761 % _FACTORS]
        if replica.staged.get(picture, -1.0) < now or not self._is_fresh(replica, picture, asked.rank, now):
            self._call(FETCH, now)
            tally.original_bytes += megapixels * self.world.traffic.bytes_per_megapixel
            replica.seen[picture] = now
        seconds = self._render_seconds(asked.preset, megapixels)
        replica.staged[picture] = now + seconds + self.world.fleet.linger
        tally.renders[asked.preset] += 1
        tally.megapixels += megapixels
        self._count("renders", now)
        self._call(WRITE, now)
        generation = self._generation[asked.preset]
        self._results[place] = Stored(generation, now + seconds, replica.number)
        replica.memory.put(place, generation, size)

    def _is_fresh(self, replica: Replica, picture: int, rank: int, now: float) -> bool:
        seen = replica.seen.get(picture)
        if seen is None and replica.chance and picture == rank:
            window = self.world.fleet.freshness
            known = self._chance.random() < ttl_hit_ratio(self._steady.seen_rate(rank), window)
            seen = replica.seen[picture] = -self._chance.random() * window if known else -window
        return seen is not None and now - seen < self.world.fleet.freshness

    def _look(self, replica: Replica, picture: int, now: float) -> None:
        self._call(LOOK, now)
        replica.seen[picture] = now

    def _stored(self, asked: Asked, picture: int, place: int) -> Stored | None:
        if place in self._results:
            return self._results[place]
        there = (
            self.world.warm
            and picture == asked.rank
            and self._chance.random() < self._steady.stored(asked.rank, asked.preset)
        )
        stored = self._results[place] = Stored(0, -1e9, -1) if there else None
        return stored

    def _replica(self, picture: int) -> Replica:
        if self.world.fleet.routing is Routing.RANDOM:
            return self._chance.choice([one for one in self._replicas if not one.away])
        owner = self._owners.get(picture)
        if owner is None:
            server = self._ring.owner(self.world.names.format(picture))
            owner = self._owners[picture] = self._replicas[self._servers.index(server)]
        return owner

    def _call(self, what: str, now: float) -> None:
        self.tally.calls[what] += 1
        self._count("calls", now)

    def _count(self, what: str, now: float) -> None:
        self.tally.bins[what][int(now / self._bin)] += 1

    # What changes meanwhile.

    def _apply(self, change: Change | int) -> None:
        match change:
            case Restart(replica=number):
                self._replicas[number].away = True
                self._replicas[number].restart()
                self._ring = self._make_ring()
            case Leave(replica=number):
                self._replicas[number].away = True
                self._ring = self._make_ring()
            case Join():
                number = len(self._replicas)
                self._servers.append(f"10.0.1.{number + 1}:8080")
                self._replicas.append(Replica(number, self.world))
                self._replicas[-1].restart()
                self._ring = self._make_ring()
            case Edit(preset=preset):
                self._generation[preset] += 1
                if change.purge:
                    self._cdn[preset].flush()
                    self._shield[preset].flush()
            case PurgeCdn():
                for cache in (*self._cdn, *self._shield):
                    cache.flush()
            case int() if change < 0:
                self._replicas[~change].away = False
                self._ring = self._make_ring()
            case int():
                self._new[change] = self._next_new
                self._next_new += 1

    def _make_ring(self) -> Ring:
        self._owners.clear()
        servers: Sequence[str] = [self._servers[one.number] for one in self._replicas if not one.away]
        return Ring(servers)

    def _fill(self) -> None:
        """Put into nginx and memory what the closed forms say is there, the longest unused first."""
        sizes = [preset.size for preset in self.world.traffic.presets]
        for cache in self._nginx:
            for place in self._steady.in_nginx(self._chance):
                size = sizes[place % self._presets] * self._factors[place * 2_654_435_761 % _FACTORS]
                cache.put(place, Copy(0, -1e6), size)
                self._results[place] = Stored(0, -1e9, -1)
        for place in self._steady.in_memory(self._chance):
            size = sizes[place % self._presets] * self._factors[place * 2_654_435_761 % _FACTORS]
            replica = self._replica(place // self._presets)
            replica.memory.put(place, 0, size)
            self._results[place] = Stored(0, -1e9, -1)
