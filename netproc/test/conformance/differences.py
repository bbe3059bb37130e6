"""Where netproc differs from Emacs on purpose, scenario by scenario.

The numbers are those of the list in docs/explanation/differences.rst.  A scenario in this table must differ at the
steps in the table, and at no other step.  All other scenarios must not differ.
"""

from __future__ import annotations

#: Scenario -> step that differs -> number of the difference.
DIFFERENCES: dict[str, dict[int, str]] = {
    "03-addr-local-string": {15: "D10", 16: "D10"},
    "04-local-long-name": {4: "D5", 6: "D5", 7: "D5"},
    "05-nowait-argument-errors": {8: "D3"},
    "05-nowait-refusal-in-sentinel": {6: "D3"},
    "05-nowait-refused": {5: "D3", 10: "D3", 14: "D3"},
    "07-server-inherit-later": {13: "D12"},
    "11-coding-bad": {8: "D12"},
    "11-coding-default": {3: "D12", 12: "D12", 15: "D12", 16: "D12"},
    "18-open-plain": {6: "D12"},
    "21-quirk-address-elements": {1: "D5", 2: "D5", 3: "D5", 4: "D5", 5: "D5"},
    "21-quirk-datagram-client-options": {3: "D9", 5: "D9", 6: "D9", 7: "D9", 8: "D9"},
    "21-quirk-datagram-truncated": {3: "D9", 5: "D9"},
    "21-quirk-nowait-lookup-sentinel": {1: "D2", 3: "D3"},
    "21-quirk-port-too-large": {1: "D5", 2: "D5", 3: "D5", 4: "D5"},
    "21-quirk-raw-cons": {0: "D6", 1: "D6", 2: "D6"},
    "21-quirk-seqpacket-truncated": {4: "D9"},
}
