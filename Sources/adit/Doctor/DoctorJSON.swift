// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

/// What `adit doctor --json` prints; members are only ever added.
enum DoctorJSON {
    static func object(_ report: DoctorReport, _ language: Language) -> JSONLine {
        let broken = report.firstBroken
        return JSONLine([
            "server": report.server.map { .string($0.description) },
            "joined": .boolean(report.isJoined),
            "ok": .boolean(broken == nil),
            "broken": broken.map { .string($0.name.rawValue) } ?? .null,
            "code": broken?.error.map { .string($0.code.description) },
            "fix": report.fix.map { .string(Foreign.clean($0.in(language))) },
            "timeMs": .number(milliseconds(report.time)),
            "hops": .array(report.hops.map { .object(hop($0, language)) }),
        ])
    }

    private static func hop(_ hop: DoctorHop, _ language: Language) -> JSONLine {
        JSONLine([
            "name": .string(hop.name.rawValue),
            "state": .string(hop.state.rawValue),
            "timeMs": hop.time.map { .number(milliseconds($0)) },
            "facts": .strings(hop.facts.map { Foreign.clean($0.in(language)) }),
            "error": hop.error.map { .error($0, language) },
        ])
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        Int64((duration.inSeconds * 1000).rounded())
    }
}
