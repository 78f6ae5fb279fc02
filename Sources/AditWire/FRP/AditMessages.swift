// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One finished request to a name, from the server to the device that serves it (id 0x4001).
package struct AditRequestReport: Sendable, Equatable {
    package var proxyName: String
    /// When the request began, in Unix milliseconds.
    package var time: Int64
    package var method: String
    /// The path without its query.
    package var path: String
    package var status: Int
    package var durationMs: Int64
    /// The visitor's address.
    package var visitor: String
    /// Whether the connection left HTTP, as a WebSocket does.
    package var upgraded: Bool
    /// How many requests before this one came too fast to be reported one by one.
    package var omitted: Int

    /// Makes a report from its fields.
    package init(
        proxyName: String = "",
        time: Int64 = 0,
        method: String = "",
        path: String = "",
        status: Int = 0,
        durationMs: Int64 = 0,
        visitor: String = "",
        upgraded: Bool = false,
        omitted: Int = 0
    ) {
        self.proxyName = proxyName
        self.time = time
        self.method = method
        self.path = path
        self.status = status
        self.durationMs = durationMs
        self.visitor = visitor
        self.upgraded = upgraded
        self.omitted = omitted
    }
}

/// The server ended a tunnel of the device (id 0x4002).
package struct AditTunnelClosed: Sendable, Equatable {
    package var proxyName: String
    /// Why: expired, taken over by a newer run, removed.
    package var error: AditErrorMessage?

    /// Makes the message from its fields.
    package init(proxyName: String = "", error: AditErrorMessage? = nil) {
        self.proxyName = proxyName
        self.error = error
    }
}

/// The server is about to stop (id 0x4003).
package struct AditDraining: Sendable, Equatable {
    /// When to come back, in milliseconds from now.
    package var reconnectAfterMs: Int

    /// Makes the message.
    package init(reconnectAfterMs: Int = 0) {
        self.reconnectAfterMs = reconnectAfterMs
    }
}

/// Visitors of a tunnel were turned away since the last such message (id 0x4004).
package struct AditVisitorsRefused: Sendable, Equatable {
    package var proxyName: String
    /// Why: `allow-list`, `password`, `connections`, `connection-rate`, `request-rate` or `device-connections`.
    package var reason: String
    /// The limit that was reached, as it is written in a command; empty when there is none.
    package var limit: String
    /// How many visitors or requests.
    package var count: Int
    /// In how many seconds.
    package var seconds: Int

    /// Makes the message from its fields.
    package init(
        proxyName: String = "",
        reason: String = "",
        limit: String = "",
        count: Int = 0,
        seconds: Int = 0
    ) {
        self.proxyName = proxyName
        self.reason = reason
        self.limit = limit
        self.count = count
        self.seconds = seconds
    }
}

extension AditVisitorsRefused: JSONMessage {
    private enum Key: String, CodingKey { case proxyName, reason, limit, count, seconds }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            proxyName: try fields.text(.proxyName),
            reason: try fields.text(.reason),
            limit: try fields.text(.limit),
            count: try fields.number(.count),
            seconds: try fields.number(.seconds)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxyName", proxyName)
        object.field("reason", reason)
        object.field("limit", limit)
        object.field("count", count)
        object.field("seconds", seconds)
    }
}

extension AditRequestReport: JSONMessage {
    private enum Key: String, CodingKey {
        case proxyName, time, method, path, status, durationMs, visitor, upgraded, omitted
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            proxyName: try fields.text(.proxyName),
            time: try fields.number(.time),
            method: try fields.text(.method),
            path: try fields.text(.path),
            status: try fields.number(.status),
            durationMs: try fields.number(.durationMs),
            visitor: try fields.text(.visitor),
            upgraded: try fields.flag(.upgraded),
            omitted: try fields.number(.omitted)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxyName", proxyName)
        object.field("time", time)
        object.field("method", method)
        object.field("path", path)
        object.field("status", status)
        object.field("durationMs", durationMs)
        object.field("visitor", visitor)
        object.field("upgraded", upgraded)
        object.field("omitted", omitted)
    }
}

extension AditTunnelClosed: JSONMessage {
    private enum Key: String, CodingKey { case proxyName, error }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(proxyName: try fields.text(.proxyName), error: try fields.object(.error))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("proxyName", proxyName)
        object.field("error", error)
    }
}

extension AditDraining: JSONMessage {
    private enum Key: String, CodingKey { case reconnectAfterMs }

    init(json decoder: any Decoder) throws {
        self.init(reconnectAfterMs: try decoder.container(keyedBy: Key.self).number(.reconnectAfterMs))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("reconnectAfterMs", reconnectAfterMs)
    }
}
