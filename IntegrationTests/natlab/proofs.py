# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The proofs beside those of the types, by name."""

from . import proof_endings, proof_options, proof_places, proof_upnp

PROOFS = {
    "independence": proof_options.independence,
    "definitions": proof_options.definitions_differ,
    "hairpin": proof_options.hairpin,
    "unsolicited": proof_options.unsolicited,
    "renumber": proof_options.renumber,
    "pool": proof_options.pool,
    "maxflows": proof_options.maxflows,
    "mtu": proof_options.mtu,
    "pinhole": proof_options.pinhole,
    "nested": proof_places.nested,
    "matrix": proof_places.matrix,
    "shared": proof_places.shared,
    "hops": proof_places.hops,
    "ipv6": proof_places.ipv6,
    "wire": proof_places.wire,
    "upnp": proof_upnp.mapped,
    "killed": proof_endings.killed,
    "leftovers": proof_endings.leftovers,
    "mistakes": proof_endings.mistakes,
}
