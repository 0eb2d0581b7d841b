"""Training on several devices: a process each, started by torchrun, that share every batch between them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import distributed, nn

from afsim.errors import AfsimError


class Crew(NamedTuple):
    """The processes that train one network together.

    Attributes
    ----------
    rank : int
        Which of them this one is; 0 leads: it validates, shows and writes.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that validates, shows and writes."""
        return self.rank == 0

    def together(self, network: nn.Module) -> nn.Module:
        """Return the network to train: its gradients become the means over all processes."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def of_leader(self, value: float, device: torch.device) -> float:
        """Return the leader's value in every process; each waits for it."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(told, 0)
        return float(told)


ALONE = Crew()


@contextmanager
def crew(device: torch.device) -> Iterator[tuple[Crew, torch.device]]:
    """Yield the crew that torchrun has started, and this process's own device; alone without torchrun.

    Raises
    ------
    AfsimError
        Where there are more processes than devices.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        local, found = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= found:
            raise AfsimError(f"process {local} has no device of its own; expected at most {found} processes")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Crew(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()
