// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// An HTTP request as a service on a simulated host sees it.
package struct LabHTTPRequest: Sendable, Equatable {
    /// `GET`, `POST` …
    package var method: String
    /// The path and query.
    package var path: String
    /// The fields in their order.
    package var fields: [SocketField]
    /// The whole body.
    package var body: [UInt8]
    /// The service's endpoint on the connection.
    package var local: IPEndpoint
    /// The asker's endpoint on the connection.
    package var remote: IPEndpoint

    /// The value of the first field of that name, whatever its case; nil when there is none.
    package func field(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// What a service on a simulated host answers.
package enum LabHTTPAnswer: Sendable, Equatable {
    /// A response; `Content-Length` and `Connection` are added.
    case response(status: Int, fields: [SocketField], body: [UInt8])
    /// These bytes, whatever they are, and the end of the connection.
    case raw([UInt8])
    /// Nothing, ever.
    case silence
}

extension LabHost {
    /// Answers HTTP requests to a port on every address of this host; false when the port is taken.
    ///
    /// Gives the listener, which ends the service when it is closed.
    @discardableResult
    package func serve(
        port: UInt16,
        isIPv6: Bool = false,
        _ respond: @escaping (LabHTTPRequest) -> LabHTTPAnswer
    ) -> LabTCPListener? {
        guard let listener = listen(IPEndpoint(isIPv6 ? .v6(high: 0, low: 0) : .v4(0), port)) else { return nil }
        listener.onAccept = { connection in
            var reader = HTTPReader(limit: 1 << 20)
            connection.onEvent = { [unowned connection] event in
                guard case .bytes(let bytes) = event else {
                    if case .ended(.finished) = event { connection.close() }
                    return
                }
                guard let message = reader.take(bytes) else { return }
                guard case .success(let read) = message, let line = read.requestLine else {
                    connection.write(Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8))
                    return connection.close()
                }
                let request = LabHTTPRequest(
                    method: line.method,
                    path: line.path,
                    fields: read.fields,
                    body: read.body,
                    local: connection.local,
                    remote: connection.remote
                )
                switch respond(request) {
                case .silence: return
                case .raw(let bytes): connection.write(bytes)
                case .response(let status, let fields, let body):
                    connection.write(HTTPReader.response(status: status, fields: fields, body: body))
                }
                connection.close()
            }
        }
        return listener
    }
}

/// One request of a machine and its response, on a connection of its own.
final class HTTPExchange {
    private var connection: LabTCPConnection?
    private var reader: HTTPReader
    private var completion: ((Result<SocketResponse, LabSocketFailure>) -> Void)?

    init(
        _ request: SocketRequest,
        on host: LabHost,
        _ completion: @escaping (Result<SocketResponse, LabSocketFailure>) -> Void
    ) {
        reader = HTTPReader(limit: request.responseLimit)
        self.completion = completion
        let isIPv6 = request.endpoint.address.isIPv6
        let local = IPEndpoint(isIPv6 ? .v6(high: 0, low: 0) : .v4(0), 0)
        switch host.connect(from: local, to: request.endpoint) {
        case .failure(let failure):
            // Later, because whoever asks does not have this object yet.
            host.lab.after(.zero) { [weak self] in self?.finish(.failure(failure)) }
        case .success(let connection):
            self.connection = connection
            connection.write(HTTPReader.request(request))
            connection.onEvent = { [unowned self] event in take(event) }
        }
    }

    func cancel() {
        completion = nil
        connection?.onEvent = nil
        connection?.abort()
        connection = nil
    }

    private func take(_ event: LabTCPEvent) {
        switch event {
        case .connected: break
        case .bytes(let bytes): if let message = reader.take(bytes) { finish(message) }
        case .ended(.finished):
            finish(reader.isEmpty ? .failure(LabSocketFailure(end: .finished)) : reader.finish())
        case .ended(let end): finish(.failure(LabSocketFailure(end: end)))
        }
    }

    private func finish(_ message: Result<HTTPReader.Message, LabSocketFailure>) {
        guard let completion else { return }
        self.completion = nil
        let local = connection?.local ?? IPEndpoint(.v4(0), 0)
        connection?.close()
        connection = nil
        switch message {
        case .failure(let failure): completion(.failure(failure))
        case .success(let message):
            guard let status = message.status else { return completion(.failure(LabSocketFailure(end: .malformed))) }
            completion(
                .success(SocketResponse(status: status, fields: message.fields, body: message.body, local: local))
            )
        }
    }
}
