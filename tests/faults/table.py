"""All faults by name, in the order of the table."""

from tests.faults import database_faults, disk_faults, load_faults, process_faults, time_faults
from tests.faults.fault import Fault

FAULTS: dict[str, Fault] = {
    **load_faults.FAULTS,
    **process_faults.FAULTS,
    **database_faults.FAULTS,
    **disk_faults.FAULTS,
    **time_faults.FAULTS,
}
