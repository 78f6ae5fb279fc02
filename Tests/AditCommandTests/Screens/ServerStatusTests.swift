// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import Foundation
import Testing

@testable import adit

@Suite struct ServerStatusTests {
    private static let json = """
        {"version": "1", "process": 7, "since": 0, "host": "example.com", "sessionPort": 7000, "publicPorts": "20000-20999",
         "fingerprint": "SHA256:x", "allowsFRP": false, "isStopping": false, "clients": [
           {"name": "desk", "kind": "adit", "key": "SHA256:y", "isOnline": true, "addresses": ["203.0.113.7"], "tunnels": [
             {"name": "dns", "kind": "udp", "target": "localhost:53", "addresses": ["example.com:20001"], "since": 0,
              "visitors": 3, "openVisitors": 1, "refusedVisitors": 0, "bytesIn": 1000, "bytesOut": 2000000,
              "datagramsIn": 5, "datagramsOut": 9, "droppedDatagrams": 0, "lastError": ""}]}]}
        """

    @Test func `what came from visitors is what came in, as on the device's screen`() throws {
        let status = try JSONDecoder().decode(ServerStatus.self, from: Data(Self.json.utf8))
        let lines = ServerStatusCommand.lines(status, ScreenStyle(), now: UnixTime(seconds: 60))
        #expect(lines.contains { $0.hasSuffix("visitors 3, now 1  ↓ 1 kB ↑ 2 MB") })
        #expect(lines.contains { $0.contains("5 in, 9 out") })
    }
}
