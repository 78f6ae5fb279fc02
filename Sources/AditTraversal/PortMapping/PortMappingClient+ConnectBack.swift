// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// Trying a TCP port from outside: an Adit server connects to it when it is asked over a connection from that very port.
extension PortMappingClient {
    mutating func connectProbe(_ now: Instant) {
        guard let server = probe?.server, let inside = probe?.inside else { return }
        let id = newSocket()
        probe?.stream = id
        probe?.step = .connecting
        probe?.nextAt = now + .seconds(4)
        emit(.open(id, .tcp(local: inside, remote: server)))
    }

    mutating func probeConnected(_ id: SocketID, _ now: Instant) {
        guard id == probe?.stream, probe?.step == .connecting else { return }
        // One address of a server cannot show that strangers come in: routers let in whom they have seen going out.
        guard probe?.other != nil else { return finishProbe(.notChecked(.tcp), now) }
        let transaction = STUNTransactionID(using: &random)
        probe?.transactions = [transaction]
        var bytes: [UInt8] = []
        STUNMessage(.request, transactionID: transaction, attributes: [ConnectBack.attribute(.address)])
            .encode(into: &bytes)
        emit(.write(id, bytes))
    }

    mutating func probeAccepted(_ id: SocketID, by listener: SocketID, _ remote: IPEndpoint) {
        guard listener == probe?.mapped, let count = probe?.guests.count, count < PortMappingProbe.guestLimit else {
            return emit(.close(id, isAbrupt: true))
        }
        probe?.guests[id] = remote
    }

    mutating func probeBytes(_ id: SocketID, _ bytes: [UInt8], _ now: Instant) {
        if id == probe?.stream {
            probeAnswered(bytes, now)
        } else if let remote = probe?.guests[id], let server = probe?.server {
            // Only the server knows the number, and it says it in one message.
            guard let message = try? STUNMessage.decode(bytes.span.bytes), message.kind == .indication,
                probe?.transactions.contains(message.transactionID) == true
            else { return }
            finishProbe(.verified(by: remote, isAlternate: remote.address != server.address), now)
        }
    }

    private mutating func probeAnswered(_ bytes: [UInt8], _ now: Instant) {
        guard probe?.step == .connecting else { return }
        probe?.streamBytes += bytes
        guard let whole = probe?.streamBytes else { return }
        guard whole.count <= 1024, let count = try? STUNMessage.byteCount(inStream: whole.span.bytes, limit: 1024)
        else {
            if whole.count >= STUNMessage.headerByteCount { finishProbe(.notChecked(.tcp), now) }
            return
        }
        guard count <= whole.count else { return }
        // The server connects to where it sees this connection, so that has to be the mapping.
        guard let message = try? STUNMessage.decode(Array(whole.prefix(count)).span.bytes), message.kind == .success,
            probe?.transactions.contains(message.transactionID) == true, ConnectBack.test(in: message) == .address,
            message.mappedEndpoint?.port == probe?.externalPort
        else { return finishProbe(.notChecked(.tcp), now) }
        probe?.step = .awaiting
        probe?.nextAt = now + ConnectBackResponder.patience + .seconds(1)
    }
}
