"""`amplify devices`: what a training would use on this machine."""

from dataclasses import dataclass

from amplify.commands.arguments import Json


@dataclass(frozen=True)
class Devices:
    """Says what a training would use here: devices, memory, and how members and minibatches are
    shared out over them; where there is no accelerator, why.

    In a shell:
        amplify devices
        amplify devices --members 64 --batch 1024
    """

    members: int = 16
    """Members of the training."""
    batch: int = 256
    """Events of a minibatch."""
    columns: int = 5
    """Of the events, where memory is asked for."""
    n_train: int = 10_000
    """Training events, where memory is asked for."""
    json_to: Json = None
    """- prints the same as JSON on standard output; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.output import give_json, say
        from amplify.devices import use_all_cores

        use_all_cores()
        from amplify.analysis.machine import lines, machine

        found = machine(self.members, self.batch, self.columns, self.n_train)
        for line in lines(found):
            say(line)
        plain = found._asdict() | {
            "devices": [device._asdict() for device in found.devices],
            "mesh": found.mesh._asdict(),
            "group": found.group._asdict(),
        }
        give_json(plain, self.json_to)
