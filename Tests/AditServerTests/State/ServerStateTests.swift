// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import Foundation
import Testing

struct ServerStateTests {
    @Test func theFolderFollowsTheEnvironment() {
        let with = { (variables: [String: String], isRoot: Bool) in
            ServerState.standard(environment: { variables[$0] }, isRoot: isRoot).path
        }
        #expect(with(["ADIT_HOME": "/srv/adit/", "XDG_STATE_HOME": "/x"], true) == "/srv/adit")
        #expect(with(["XDG_STATE_HOME": "/x"], true) == "/var/lib/adit")
        #expect(with(["XDG_STATE_HOME": "/x", "HOME": "/home/mei"], false) == "/x/adit")
        #expect(with(["XDG_STATE_HOME": "x", "HOME": "/home/mei"], false) == "/home/mei/.local/state/adit")
    }

    @Test func theFolderIsItsOwnersAlone() throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        try state.prepare()
        #expect(try mode(of: state.path) == 0o700)
        let store = try Store(path: state.databaseFile)
        try store.save(ServerSettings(domain: "example.com"))
        state.closeDatabaseFiles()
        #expect(try mode(of: state.databaseFile) == 0o600)
        try PrivateFile.replace(state.keyFile, with: [1, 2, 3])
        #expect(try mode(of: state.keyFile) == 0o600)
        #expect(try PrivateFile.read(state.keyFile) == [1, 2, 3])
        #expect(try PrivateFile.read(state.certificateFile) == nil)
        // A second process opens the same file.
        #expect(try Store(path: state.databaseFile).settings().domain == "example.com")
    }

    @Test func aFolderThatCannotBeMadeIsAStateError() throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        #expect(FileManager.default.createFile(atPath: state.path, contents: Data()))
        let error = #expect(throws: AditError.self) { try state.prepare() }
        #expect(error?.code == .state)
        #expect(error?.why.first?.english.contains(state.path) == true)
    }

    @Test func aDatabaseThatIsNotOneIsAStateError() throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        try state.prepare()
        try PrivateFile.replace(state.databaseFile, with: Array(repeating: 0x41, count: 8192))
        #expect(#expect(throws: AditError.self) { try Store(path: state.databaseFile) }?.code == .state)
    }

    @Test func onlyOneServerRunsOnAFolder() throws {
        let state = temporaryState()
        defer { try? FileManager.default.removeItem(atPath: state.path) }
        try state.prepare()
        var lock: StateLock? = try StateLock(state)
        _ = lock
        let error = #expect(throws: AditError.self) { try StateLock(state) }
        #expect(error?.code == .serverProcess)
        #expect(error?.why.last?.english == "process \(ProcessInfo.processInfo.processIdentifier)")
        lock = nil
        #expect(throws: Never.self) { try StateLock(state) }
    }

    private func mode(of path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }
}

/// A state folder of its own under the system's temporary folder, not yet made.
func temporaryState() -> ServerState {
    ServerState(path: NSTemporaryDirectory() + "/adit-\(UUID().uuidString.prefix(8))")
}
