// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the outside may ask a server process by signal.
package enum ProcessSignal: Sendable, Equatable {
    /// SIGTERM or SIGINT: stop; a second one, at once.
    case stop
    /// SIGHUP: read the configuration again.
    case reload

    /// The signals of the process from now on, in place of the system's own handling.
    ///
    /// SIGPIPE is ignored: a visitor who leaves is an error of one write, not the end of the process.
    package static func watch() -> AsyncStream<ProcessSignal> {
        AsyncStream { continuation in
            signal(SIGPIPE, SIG_IGN)
            let sources = Sources()
            for (number, meaning) in [(SIGTERM, ProcessSignal.stop), (SIGINT, .stop), (SIGHUP, .reload)] {
                sources.add(number) { continuation.yield(meaning) }
            }
            continuation.onTermination = { _ in sources.cancel() }
        }
    }

    // Filled before it is shared and only cancelled afterwards; Dispatch's sources may be cancelled from any thread.
    private final class Sources: @unchecked Sendable {
        private let queue = DispatchQueue(label: "adit.signals")
        private var sources: [any DispatchSourceSignal] = []

        func add(_ number: Int32, _ handler: @escaping @Sendable () -> Void) {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler(handler: handler)
            source.resume()
            sources.append(source)
        }

        func cancel() {
            for source in sources { source.cancel() }
        }
    }
}
