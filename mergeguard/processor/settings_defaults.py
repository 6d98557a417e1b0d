"""Defaults of settings that are lists: what stands in the keys of machines although it is not one machine's own."""

from __future__ import annotations

from typing import Final

NO_MACHINES_OWN: Final = (
    "00:00:00:00:00:00; FF:FF:FF:FF:FF:FF; 02:00:4C:4F:4F:50; 02:00:54:55:4E:01; "
    "20:41:53:59:4E:FF; 33:50:6F:45:30:30; 44:45:53:54:00:00; 50:50:54:50:30:30"
)
"""Addresses of no card, of all cards, and of adapters that Windows makes up: loopback, tunnels and dial-up."""
NEVER_FILLED_IN: Final = (
    "To Be Filled By OEM; Default string; System Serial Number; System Product Name; Base Board Serial Number; "
    "Chassis Serial Number; Not Specified; Not Applicable; Not Available; Unknown; Undefined; Invalid; Empty; None; "
    "Null; N/A; OEM; 0; 00000000; 123456789; 1234567890; 0123456789; xxxxxxxx"
)
"""What stands in the firmware of machines whose maker left it so."""
