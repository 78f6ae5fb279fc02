// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Glibc

/// Writes the lines of a model to standard output and standard error.
struct Screen: ~Copyable {
    private var model: ScreenModel
    private var hasStatus = false

    /// Makes a screen for tunnels.
    init(
        style: ScreenStyle,
        mode: ScreenMode,
        orders: [TunnelOrder],
        services: [ServiceOrder] = [],
        visits: [VisitOrder] = []
    ) {
        model = ScreenModel(style: style, mode: mode, orders: orders)
        model.services = services
        model.visits = visits
    }

    /// Shows one event.
    mutating func show(_ event: DeviceEvent) {
        write(model.handle(event, at: .now()))
    }

    /// Shows that time passed.
    mutating func tick() {
        write(model.tick(at: .now()))
    }

    /// Other tunnels and services are shown from now on.
    mutating func replaceOrders(_ orders: [TunnelOrder], _ services: [ServiceOrder] = []) {
        model.orders = orders
        model.services = services
    }

    private mutating func write(_ outputs: [ScreenOutput]) {
        for output in outputs {
            switch output {
            case .line(let text):
                clearStatus()
                StandardStream.write(text + "\n", to: STDOUT_FILENO)
            case .aside(let text):
                clearStatus()
                StandardStream.write(text + "\n", to: STDERR_FILENO)
            case .status(let text):
                clearStatus()
                guard let text else { continue }
                hasStatus = true
                StandardStream.write(text, to: STDOUT_FILENO)
            }
        }
    }

    private mutating func clearStatus() {
        guard hasStatus else { return }
        hasStatus = false
        StandardStream.write("\r\u{1B}[2K", to: STDOUT_FILENO)
    }
}

/// Writing to the process's own streams.
enum StandardStream {
    /// Writes all of the text; when nobody reads any more, the rest is dropped.
    static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// A line of standard output.
    static func line(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    /// A line of standard error.
    static func aside(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
}

extension ScreenTime {
    /// The moment of the call in the local time zone.
    static func now() -> ScreenTime {
        var seconds = time(nil)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return ScreenTime(seconds: Int64(seconds), clock: clock(parts.tm_hour, parts.tm_min, parts.tm_sec))
    }

    private static func clock(_ parts: Int32...) -> String {
        parts.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }
}
