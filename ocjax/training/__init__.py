"""Training: the loop, sweeps of many models, devices, checkpoints."""

from ocjax.training.lane import Budget as Budget
from ocjax.training.lane import Model as Model
from ocjax.training.lane import NonFiniteError as NonFiniteError
from ocjax.training.lane import Progress as Progress
from ocjax.training.lane import Span as Span
from ocjax.training.lane import divided as divided
from ocjax.training.lane import spans as spans
from ocjax.training.loop import check as check
from ocjax.training.loop import fit as fit
from ocjax.training.loop import fitting_batch_size as fitting_batch_size
from ocjax.training.loop import together as together
from ocjax.training.loop import train as train
from ocjax.training.parallel import Devices as Devices
from ocjax.training.parallel import ModelDevices as ModelDevices
from ocjax.training.parallel import choose_devices as choose_devices
from ocjax.training.schedule import Schedule as Schedule
from ocjax.training.sweep import sweep as sweep
from ocjax.training.sweep import traceable as traceable
from ocjax.training.sweep import width as width
