// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

private import FoundationEssentials

/// The JSON inside frames: one object for each message.
enum FRPJSON {
    /// The bytes of one object.
    static func encode(_ message: some JSONMessage) -> [UInt8] {
        var writer = JSONObjectWriter(appendingTo: [])
        writer.write(message)
        return writer.bytes
    }

    /// Appends a message's object; throws for a message whose content this version does not know.
    static func append(_ message: FRPMessage, to bytes: inout [UInt8]) throws(WireError) {
        switch message {
        case .login(let message): append(message, to: &bytes)
        case .loginResponse(let message): append(message, to: &bytes)
        case .newProxy(let message): append(message, to: &bytes)
        case .newProxyResponse(let message): append(message, to: &bytes)
        case .closeProxy(let message): append(message, to: &bytes)
        case .newWorkConnection(let message): append(message, to: &bytes)
        case .requestWorkConnection: bytes.append(contentsOf: "{}".utf8)
        case .startWorkConnection(let message): append(message, to: &bytes)
        case .newVisitorConnection(let message): append(message, to: &bytes)
        case .newVisitorConnectionResponse(let message): append(message, to: &bytes)
        case .ping(let message): append(message, to: &bytes)
        case .pong(let message): append(message, to: &bytes)
        case .udpPacket(let message): append(message, to: &bytes)
        case .requestReport(let message): append(message, to: &bytes)
        case .tunnelClosed(let message): append(message, to: &bytes)
        case .draining(let message): append(message, to: &bytes)
        case .visitorsRefused(let message): append(message, to: &bytes)
        case .peerSignal(let message): append(message, to: &bytes)
        case .peerUnavailable(let message): append(message, to: &bytes)
        case .turnOffer(let message): append(message, to: &bytes)
        case .helloAnswer(let message): append(message, to: &bytes)
        case .services(let message): append(message, to: &bytes)
        case .peerStream(let message): append(message, to: &bytes)
        case .serviceQuery(let message): append(message, to: &bytes)
        case .serviceHolder(let message): append(message, to: &bytes)
        case .unsupported: throw .notEncodable
        }
    }

    /// Reads the message with this v2 id; ids of Adit that are not known come back as `.unsupported`.
    static func decodeMessage(_ number: UInt16, _ json: RawSpan) throws(WireError) -> FRPMessage {
        guard let id = FRPMessageID(rawValue: number) else {
            guard number >= FRPMessageID.firstOfAdit else { throw .unknownType(number) }
            return .unsupported(id: number)
        }
        switch id {
        case .login: return .login(try decode(FRPLogin.self, json, type: number))
        case .loginResponse: return .loginResponse(try decode(FRPLoginResponse.self, json, type: number))
        case .newProxy: return .newProxy(try decode(FRPNewProxy.self, json, type: number))
        case .newProxyResponse: return .newProxyResponse(try decode(FRPNewProxyResponse.self, json, type: number))
        case .closeProxy: return .closeProxy(try decode(FRPCloseProxy.self, json, type: number))
        case .newWorkConnection:
            return .newWorkConnection(try decode(FRPNewWorkConnection.self, json, type: number))
        case .requestWorkConnection:
            _ = try decode(Empty.self, json, type: number)
            return .requestWorkConnection
        case .startWorkConnection:
            if let start = FRPStartWorkConnection(flat: json) { return .startWorkConnection(start) }
            return .startWorkConnection(try decode(FRPStartWorkConnection.self, json, type: number))
        case .newVisitorConnection:
            return .newVisitorConnection(try decode(FRPNewVisitorConnection.self, json, type: number))
        case .newVisitorConnectionResponse:
            return .newVisitorConnectionResponse(
                try decode(FRPNewVisitorConnectionResponse.self, json, type: number)
            )
        case .ping: return .ping(try decode(FRPPing.self, json, type: number))
        case .pong: return .pong(try decode(FRPPong.self, json, type: number))
        case .udpPacket: return .udpPacket(try decode(FRPUDPPacket.self, json, type: number))
        case .requestReport: return .requestReport(try decode(AditRequestReport.self, json, type: number))
        case .tunnelClosed: return .tunnelClosed(try decode(AditTunnelClosed.self, json, type: number))
        case .draining: return .draining(try decode(AditDraining.self, json, type: number))
        case .visitorsRefused:
            return .visitorsRefused(try decode(AditVisitorsRefused.self, json, type: number))
        case .turnOffer: return .turnOffer(try decode(TURNOffer.self, json, type: number))
        case .helloAnswer: return .helloAnswer(try decode(AditHelloAnswer.self, json, type: number))
        case .services: return .services(try decode(AditServices.self, json, type: number))
        case .peerStream: return .peerStream(try decode(AditPeerStream.self, json, type: number))
        case .serviceQuery: return .serviceQuery(try decode(AditServiceQuery.self, json, type: number))
        case .serviceHolder: return .serviceHolder(try decode(AditServiceHolder.self, json, type: number))
        case .peerSignal: return .peerSignal(try decode(AditPeerSignal.self, json, type: number))
        case .peerUnavailable:
            return .peerUnavailable(try decode(AditPeerUnavailable.self, json, type: number))
        case .natHoleVisitor, .natHoleClient, .natHoleResponse, .natHoleSession, .natHoleReport:
            return .unsupported(id: number)
        }
    }

    /// Reads one object; throws `malformedJSON(type)` for anything that is not the object that is expected.
    static func decode<Message: JSONMessage>(
        _ message: Message.Type,
        _ json: RawSpan,
        type: UInt16
    ) throws(WireError) -> Message {
        let data = unsafe json.withUnsafeBytes { unsafe Data($0) }
        do {
            return try decoder.decode(JSONReader<Message>.self, from: data).message
        } catch let error as WireError {
            throw error
        } catch {
            throw .malformedJSON(type)
        }
    }

    private static let decoder = JSONDecoder()

    private static func append(_ message: some JSONMessage, to bytes: inout [UInt8]) {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        var writer = JSONObjectWriter(appendingTo: taken)
        taken = []
        writer.write(message)
        bytes = writer.bytes
    }

    private struct Empty: JSONMessage {
        private enum Key: CodingKey {}

        init(json decoder: any Decoder) throws {
            _ = try decoder.container(keyedBy: Key.self)
        }

        func write(to object: inout JSONObjectWriter) {}
    }
}
