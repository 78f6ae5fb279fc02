// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension LabTrace {
    /// Every entry as a line: milliseconds, from where to where, the packet, and what became of it.
    package func lines(nodeName: (Int) -> String) -> [String] {
        entries.map { entry in
            let time = Self.milliseconds(entry.at.nanoseconds)
            switch entry.outcome {
            case .crossed(_, let from, let to, let arrival):
                let arrived = Self.milliseconds(arrival.nanoseconds)
                return "\(time)  \(nodeName(from)) > \(nodeName(to))  \(entry.packet)  at \(arrived)"
            case .dropped(let node, let reason):
                return "\(time)  \(nodeName(node)) x  \(entry.packet)  \(reason.rawValue)"
            }
        }
    }

    private static func milliseconds(_ nanoseconds: Int64) -> String {
        let microseconds = nanoseconds / 1000
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
