"""Training: the loop, devices, checkpoints."""

from ocjax.training.loop import NonFiniteError as NonFiniteError
from ocjax.training.loop import Progress as Progress
from ocjax.training.loop import check as check
from ocjax.training.loop import fit as fit
from ocjax.training.loop import total_epochs as total_epochs
from ocjax.training.loop import train as train
from ocjax.training.parallel import Devices as Devices
