// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A message of frp's protocol or one of those that Adit adds to it (docs/wire.md).
package enum FRPMessage: Sendable, Equatable {
    case login(FRPLogin)
    case loginResponse(FRPLoginResponse)
    case newProxy(FRPNewProxy)
    case newProxyResponse(FRPNewProxyResponse)
    case closeProxy(FRPCloseProxy)
    case newWorkConnection(FRPNewWorkConnection)
    case requestWorkConnection
    case startWorkConnection(FRPStartWorkConnection)
    case newVisitorConnection(FRPNewVisitorConnection)
    case newVisitorConnectionResponse(FRPNewVisitorConnectionResponse)
    case ping(FRPPing)
    case pong(FRPPong)
    case udpPacket(FRPUDPPacket)
    case requestReport(AditRequestReport)
    case tunnelClosed(AditTunnelClosed)
    case draining(AditDraining)
    case visitorsRefused(AditVisitorsRefused)
    case peerSignal(AditPeerSignal)
    case peerUnavailable(AditPeerUnavailable)
    /// New credentials for the server's TURN, before those of the login expire.
    case turnOffer(TURNOffer)
    /// Wire v1 only: the answer to a hello that came inside a login.
    case helloAnswer(AditHelloAnswer)
    case services(AditServices)
    case peerStream(AditPeerStream)
    case serviceQuery(AditServiceQuery)
    case serviceHolder(AditServiceHolder)
    /// A message that is known by its id but not understood; its content is dropped.
    case unsupported(id: UInt16)
}

/// The ids that wire v2 gives to messages, and the type bytes of wire v1.
package enum FRPMessageID: UInt16, Sendable, CaseIterable {
    case login = 1
    case loginResponse = 2
    case newProxy = 3
    case newProxyResponse = 4
    case closeProxy = 5
    case newWorkConnection = 6
    case requestWorkConnection = 7
    case startWorkConnection = 8
    case newVisitorConnection = 9
    case newVisitorConnectionResponse = 10
    case ping = 11
    case pong = 12
    case udpPacket = 13
    case natHoleVisitor = 14
    case natHoleClient = 15
    case natHoleResponse = 16
    case natHoleSession = 17
    case natHoleReport = 18
    case requestReport = 0x4001
    case tunnelClosed = 0x4002
    case draining = 0x4003
    case visitorsRefused = 0x4004
    case peerSignal = 0x4005
    case peerUnavailable = 0x4006
    case turnOffer = 0x4007
    case helloAnswer = 0x4008
    case services = 0x4009
    case peerStream = 0x400A
    case serviceQuery = 0x400B
    case serviceHolder = 0x400C

    /// The first id that belongs to Adit; ids from here on are sent only after the hellos agreed on Adit.
    package static let firstOfAdit: UInt16 = 0x4000

    /// The type byte in wire v1: digits and small letters are frp's, capital letters are Adit's.
    package var v1Type: UInt8 {
        let types: StaticString = "o1p2cwrsv3h4uinm56"
        let ofAdit: StaticString = "QXDRSUTHAJLP"
        let isAdit = rawValue >= Self.firstOfAdit
        let index = Int(isAdit ? rawValue - Self.firstOfAdit : rawValue) - 1
        return unsafe (isAdit ? ofAdit : types).utf8Start[index]
    }

    /// Finds the message of a wire v1 type byte; nil when there is none.
    package init?(v1Type: UInt8) {
        guard let id = Self.allCases.first(where: { $0.v1Type == v1Type }) else { return nil }
        self = id
    }
}

extension FRPMessage {
    /// The message's id in wire v2.
    package var id: UInt16 {
        switch self {
        case .login: FRPMessageID.login.rawValue
        case .loginResponse: FRPMessageID.loginResponse.rawValue
        case .newProxy: FRPMessageID.newProxy.rawValue
        case .newProxyResponse: FRPMessageID.newProxyResponse.rawValue
        case .closeProxy: FRPMessageID.closeProxy.rawValue
        case .newWorkConnection: FRPMessageID.newWorkConnection.rawValue
        case .requestWorkConnection: FRPMessageID.requestWorkConnection.rawValue
        case .startWorkConnection: FRPMessageID.startWorkConnection.rawValue
        case .newVisitorConnection: FRPMessageID.newVisitorConnection.rawValue
        case .newVisitorConnectionResponse: FRPMessageID.newVisitorConnectionResponse.rawValue
        case .ping: FRPMessageID.ping.rawValue
        case .pong: FRPMessageID.pong.rawValue
        case .udpPacket: FRPMessageID.udpPacket.rawValue
        case .requestReport: FRPMessageID.requestReport.rawValue
        case .tunnelClosed: FRPMessageID.tunnelClosed.rawValue
        case .draining: FRPMessageID.draining.rawValue
        case .visitorsRefused: FRPMessageID.visitorsRefused.rawValue
        case .peerSignal: FRPMessageID.peerSignal.rawValue
        case .peerUnavailable: FRPMessageID.peerUnavailable.rawValue
        case .turnOffer: FRPMessageID.turnOffer.rawValue
        case .helloAnswer: FRPMessageID.helloAnswer.rawValue
        case .services: FRPMessageID.services.rawValue
        case .peerStream: FRPMessageID.peerStream.rawValue
        case .serviceQuery: FRPMessageID.serviceQuery.rawValue
        case .serviceHolder: FRPMessageID.serviceHolder.rawValue
        case .unsupported(let id): id
        }
    }
}
