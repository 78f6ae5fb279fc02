# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What packets showed of a site, and the comparison with the definition of its type."""

import dataclasses

from .language import KEPT, NAT_TYPES, Behavior

# Types without translation, in the same words.
UNTRANSLATED = {"fw": Behavior("EIM", "APDF", KEPT), "public": Behavior("EIM", "EIF", KEPT)}
KNOWN = {**NAT_TYPES, **UNTRANSLATED}


@dataclasses.dataclass
class Observation:
    """One protocol of one site."""

    passes: bool = False
    # The external ports that (ip1, port1), (ip1, port2), (ip2, port1) and (ip2, port2) saw.
    ports: list = dataclasses.field(default_factory=list)
    addresses: set = dataclasses.field(default_factory=set)
    kept: bool = False
    from_other_port: bool = False
    from_other_address: bool = False
    to_unmapped_port: bool = False
    is_stable: bool = False

    @property
    def mapping(self):
        first, second, third, fourth = self.ports
        if first == second == third == fourth:
            return "EIM"
        return "ADM" if first == second and third == fourth else "APDM"

    @property
    def filtering(self):
        return "EIF" if self.from_other_address else "ADF" if self.from_other_port else "APDF"

    def faults(self, kind, behavior=None):
        """In which points it is not what the type promises."""
        if kind in ("blocked", "web"):
            return ["it passes"] if self.passes else []
        if not self.passes:
            return ["nothing passes"]
        wanted = behavior or KNOWN[kind]
        found = []
        if self.mapping != wanted.mapping:
            found.append(f"mapping {self.mapping}, not {wanted.mapping}")
        if wanted.mapping == "APDM" and len(set(self.ports)) < 3:
            found.append("ports are used again")
        if self.filtering != wanted.filtering:
            found.append(f"filtering {self.filtering}, not {wanted.filtering}")
        if self.kept != (wanted.ports == KEPT):
            found.append("the port is kept" if self.kept else "the port is not kept")
        if wanted.step and [later - sooner for sooner, later in zip(self.ports, self.ports[1:])] != [wanted.step] * 3:
            found.append(f"the step is not {wanted.step}")
        if self.to_unmapped_port:
            found.append("an unmapped port is open")
        if not self.is_stable:
            found.append("the same destination sees another port")
        if len(self.addresses) != 1:
            found.append("several addresses")
        return found

    def __str__(self):
        if not self.passes:
            return "nothing passes"
        shown = f"{self.ports[0]} x4" if len(set(self.ports)) == 1 else " ".join(map(str, self.ports))
        return f"{self.mapping}/{self.filtering} {'kept' if self.kept else 'new'} {shown}"
