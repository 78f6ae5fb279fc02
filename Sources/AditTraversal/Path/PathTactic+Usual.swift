// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

extension PathTactic {
    /// What is tried unless the user says otherwise: everything but searches through a carrier's block of ports, and the slow
    /// forms of the TCP punch.
    package static let usual: Set<PathTactic> = [.plain, .tcp, .prediction, .window, .birthday]

    /// The same with searches through blocks of ports.
    package static let withPortBlocks = usual.union([.block])
}
