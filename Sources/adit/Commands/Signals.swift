// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc

/// What the outside asks of a running command by signal.
enum CommandSignal: Sendable {
    /// SIGINT or SIGTERM.
    case stop
    /// SIGHUP.
    case hangUp

    /// Hears the signals of the process from now on, in place of the system's own handling.
    ///
    /// SIGPIPE is ignored: a reader that goes away ends one write, not the process.
    static func watch(_ hear: @escaping @Sendable (CommandSignal) -> Void) -> SignalWatch {
        signal(SIGPIPE, SIG_IGN)
        let queue = DispatchQueue(label: "adit.signals")
        let meanings: [(Int32, CommandSignal)] = [(SIGINT, .stop), (SIGTERM, .stop), (SIGHUP, .hangUp)]
        return SignalWatch(
            sources: meanings.map { number, meaning in
                let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
                source.setEventHandler { hear(meaning) }
                source.resume()
                return source
            }
        )
    }
}

/// Hears signals for as long as it is kept.
struct SignalWatch {
    private let sources: [any DispatchSourceSignal]

    init(sources: [any DispatchSourceSignal]) {
        self.sources = sources
    }

    /// Hears nothing more.
    func cancel() {
        for source in sources { source.cancel() }
    }
}
