// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import NIOCore
import NIOPosix

/// The keys of other devices at one server, read from the home and kept there; lives on its event loop.
final class PeerKeys {
    private let home: DeviceHome?
    private let eventLoop: any EventLoop
    private let unixTime: @Sendable () -> Int64
    private var known = KnownDevices()
    private var server: String?
    private var isReading = false
    private var hasRead = false
    private(set) var isReady = false
    /// Why it is not known who was met before; nobody is then taken for somebody who is met first.
    private(set) var fault: AditError?

    init(home: DeviceHome?, on eventLoop: any EventLoop, unixTime: @escaping @Sendable () -> Int64) {
        self.home = home
        self.eventLoop = eventLoop
        self.unixTime = unixTime
    }

    /// Reads what is known of a server's devices; `body` is called when that is done.
    func use(server: String, _ body: @escaping () -> Void) {
        self.server = server
        guard let home else {
            isReady = true
            return body()
        }
        read(home) { [self] in
            isReady = true
            body()
        }
    }

    /// Reads the file once more: another process may have changed it.
    func reload() {
        guard let home, !isReading else { return }
        read(home) {}
    }

    private func read(_ home: DeviceHome, _ body: @escaping () -> Void) {
        isReading = true
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { try home.knownDevices() }.assumeIsolated()
            .whenComplete { [self] result in
                isReading = false
                switch result {
                case .success(let found): (known, fault, hasRead) = (found, nil, true)
                // Nothing of a file that cannot be read is overwritten, by a change that fails too.
                case .failure(let error): if !hasRead { fault = error as? AditError }
                }
                body()
            }
    }

    /// The fingerprint of a device's key; nil at the first meeting.
    func key(of name: String) -> KeyFingerprint? {
        server.flatMap { known.key(of: name, at: $0) }
    }

    /// Remembers a device's key, at the first meeting.
    func learn(_ key: KeyFingerprint, of name: String) {
        guard let server, known.key(of: name, at: server) == nil else { return }
        let time = unixTime()
        known.set(key, of: name, at: server, now: time)
        guard let home else { return }
        NIOThreadPool.singleton.submit { _ in
            try? home.changeKnownDevices { known in
                if known.key(of: name, at: server) == nil { known.set(key, of: name, at: server, now: time) }
            }
        }
    }
}
