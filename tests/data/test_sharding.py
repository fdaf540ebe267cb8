"""Which rank reads what, on the level of indices: 8 devices, 64, and servers with rank = server * devices + device."""

import numpy as np
import pytest

from src.data.loader import epoch_order, steps_per_epoch

LAYOUTS = [(1, 8), (8, 8), (1, 64), (2, 4), (3, 16)]


def all_ranks(servers: int, devices: int) -> list[int]:
    return [server * devices + device for server in range(servers) for device in range(devices)]


@pytest.mark.parametrize(("servers", "devices"), LAYOUTS)
@pytest.mark.parametrize("num_samples", [2975, 2880, 64 * 3 + 1])
def test_shards_are_disjoint_and_together_whole(servers: int, devices: int, num_samples: int) -> None:
    ranks = all_ranks(servers, devices)
    world = len(ranks)
    for epoch in (0, 7):
        shards = [epoch_order(num_samples, epoch, 3, True, rank, world) for rank in ranks]
        assert sorted(np.concatenate(shards).tolist()) == list(range(num_samples))
        assert max(map(len, shards)) - min(map(len, shards)) <= (1 if num_samples % world else 0)
        # What a server reads is no other's either.
        servers_shards = [set(np.concatenate(shards[server * devices : (server + 1) * devices]).tolist()) for server in range(servers)]
        assert sum(map(len, servers_shards)) == num_samples


@pytest.mark.parametrize(("servers", "devices"), LAYOUTS)
def test_full_batches_leave_out_less_than_one_batch_of_all_ranks(servers: int, devices: int) -> None:
    ranks, batch = all_ranks(servers, devices), 4
    world = len(ranks)
    steps = steps_per_epoch(2975, batch, world)
    read = np.concatenate([epoch_order(2975, 1, 3, True, rank, world)[: steps * batch] for rank in ranks])
    assert len(set(read.tolist())) == len(read) == steps * batch * world > 2975 - batch * world


@pytest.mark.parametrize("world", [2, 8, 64])
def test_a_step_of_all_ranks_is_a_step_of_one_process_on_the_whole_batch(world: int) -> None:
    batch = 3
    alone = epoch_order(2975, 5, 3, True)
    shards = [epoch_order(2975, 5, 3, True, rank, world) for rank in range(world)]
    for step in range(steps_per_epoch(2975, batch, world)):
        together = np.concatenate([shard[step * batch : (step + 1) * batch] for shard in shards])
        assert set(together.tolist()) == set(alone[step * batch * world : (step + 1) * batch * world].tolist())
