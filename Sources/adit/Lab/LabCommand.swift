// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `adit lab`
struct LabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Try NATs: a simulated internet, or this computer's kernel.",
        discussion: """
            A site is described by words with commas: a type, then options.

              full addr port         the three cones; full-r addr-r port-r: random ports
              sym symblk seq seq2    symmetric: random, in a block, one up, two up
              adm                    symmetric, one port for each address
              public fw blocked web  no NAT: open, firewall, closed, only the web
              udp=full,tcp=sym       each transport by its own type
              cgn=sym                a carrier's NAT in front
              unsol=rst hairpin=1    and more in docs/lab.md

              adit lab nat sym port
              adit lab nat port,unsol=rst "port,cgn=full" --tcp --loss 5
              adit lab nat addr port --tactic seven-steps
              adit lab matrix
              adit lab day
            """,
        subcommands: [
            LabNATCommand.self, LabMatrixCommand.self, LabGridCommand.self, LabRatesCommand.self, LabKernelCommand.self,
            LabICECommand.self, LabQUICCommand.self, LabDayCommand.self,
        ]
    )
}
