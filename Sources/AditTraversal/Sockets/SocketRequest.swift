// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A field of an HTTP message.
package struct SocketField: Sendable, Hashable {
    /// The name, compared without regard to case.
    package var name: String
    /// The value.
    package var value: String

    /// Makes it from its parts.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An HTTP/1.1 request of a machine; the driver adds `Host`, `Content-Length` and `Connection: close`.
///
/// Redirections are not followed. There is no time limit but the machine's own: it closes the id.
package struct SocketRequest: Sendable, Equatable {
    /// To whom the connection is made.
    package var endpoint: IPEndpoint
    /// What `Host` says, without a port.
    package var host: String
    /// `GET`, `POST`, `SUBSCRIBE` …
    package var method: String
    /// The path and query, beginning with a slash.
    package var path: String
    /// Further fields, as they are sent.
    package var fields: [SocketField]
    /// The body; empty for none.
    package var body: [UInt8]
    /// The longest body that is read, in bytes; what is longer ends the request as `malformed`.
    package var responseLimit: Int

    /// Makes it from its parts.
    package init(
        _ method: String,
        to endpoint: IPEndpoint,
        host: String,
        path: String,
        fields: [SocketField] = [],
        body: [UInt8] = [],
        responseLimit: Int = 64 * 1024
    ) {
        self.endpoint = endpoint
        self.host = host
        self.method = method
        self.path = path
        self.fields = fields
        self.body = body
        self.responseLimit = responseLimit
    }
}

/// The response to a machine's HTTP request.
package struct SocketResponse: Sendable, Equatable {
    /// The status, 100 to 599.
    package var status: Int
    /// The fields in their order, at most 64 of them.
    package var fields: [SocketField]
    /// The whole body.
    package var body: [UInt8]
    /// This machine's address on the connection.
    package var local: IPEndpoint

    /// Makes it from its parts.
    package init(status: Int, fields: [SocketField] = [], body: [UInt8] = [], local: IPEndpoint) {
        self.status = status
        self.fields = fields
        self.body = body
        self.local = local
    }

    /// The value of the first field of that name, whatever its case; nil when there is none.
    package func field(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}
