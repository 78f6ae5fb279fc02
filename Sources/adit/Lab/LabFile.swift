// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import Glibc

/// What was recorded during a play, taken out of the lab before it is gone.
struct LabCapture: Sendable {
    var lines: [String] = []
    var pcap: [UInt8] = []
    var mermaid = ""

    mutating func take(_ lab: Lab, trace: Bool, pcap: Bool, mermaid: Bool) {
        let names = lab.nodes.map(\.name)
        if trace { lines = lab.trace?.lines { names[$0] } ?? [] }
        if pcap { self.pcap = lab.pcap() }
        if mermaid { self.mermaid = lab.mermaid() }
    }
}

/// Writing files that a person named.
enum LabFile {
    /// Writes a file anew; a device such as `/dev/stdout` is written to as it is.
    static func write(_ bytes: [UInt8], to path: String) throws(AditError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path, errno) }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, errno) }
            written += count
        }
    }

    private static func failure(_ path: String, _ number: Int32) -> AditError {
        AditError(
            .usage,
            Text("cannot write \(path)", zh: "无法写入 \(path)"),
            why: [Text(verbatim: String(cString: strerror(number)))]
        )
    }
}
