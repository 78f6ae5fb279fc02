// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

extension AditServer {
    /// The ports of STUN; nil when it is not answered.
    package var stunOffer: STUNOffer? { policy.stunOffer(to: nil) }

    /// Where STUN is answered and what was done; nil when it is not.
    package var stunStatus: ServerStatus.STUN? { policy.changeable.withLockedValue { $0.stun }?.status }

    /// Opens the ports of STUN, without those that nobody asked for and that are not to be had.
    func listenForSTUN(_ setup: ServerSetup, _ group: any EventLoopGroup) -> EventLoopFuture<Void> {
        guard let stun = setup.stun else { return loop.makeSucceededVoidFuture() }
        let found =
            stun.addresses.isEmpty && setup.listen.isUnspecified
            ? STUNAddresses(foundAmong: MachineAddress.lasting()) : STUNAddresses(stun.addresses)
        let log = parts.log
        let opening = STUNOpening(
            setup: stun,
            listen: setup.listen,
            addresses: found,
            parts: parts,
            certificates: certificates,
            group: group
        ) { fault in
            let words = fault.purpose == .tls ? "STUN over TLS" : "a second port of STUN"
            log.warning("\(fault.line); the server runs without \(words)")
        }
        let isSpecific = !stun.addresses.isEmpty || !setup.listen.isUnspecified
        return loop.makeFutureWithTask { [opening, parts] in
            var opening = opening
            if let turn = setup.turn {
                let outside = IPAddress(setup.publicHost)
                let places =
                    isSpecific
                    ? TURNPlaces(found, or: [setup.listen], outside: outside)
                    : TURNPlaces(found, or: await TURNPlaces.ofMachine(), outside: outside)
                opening.turn = TURNService(
                    turn,
                    realm: setup.publicHost,
                    places: places,
                    requestsPerSecond: stun.requestsPerSecond,
                    parts: parts,
                    idle: opening.limits.idle
                )
            }
            do {
                let service = try await opening.open()
                let isLate = self.running.withLockedValue { running in
                    running.stun = running.isStopping ? nil : service
                    return running.isStopping
                }
                if isLate { return service.stop() }
                self.policy.changeable.withLockedValue { changeable in
                    changeable.stun = service
                    changeable.turn = opening.turn
                }
            } catch let fault as STUNOpening.Fault {
                guard fault.purpose == .first, stun.isPortOptional else { throw fault.error }
                log.warning("\(fault.line); the server runs without STUN")
            }
        }
    }
}

extension STUNOpening.Fault {
    /// What is wrong, in one line for the log.
    fileprivate var line: String {
        let error = error
        return "\(error.what.english): \(error.why.first?.english ?? "")"
    }
}

extension ServerPolicy {
    /// What a device that came from there is told about STUN; nil when it is not answered.
    func stunOffer(to device: IPAddress?) -> STUNOffer? {
        changeable.withLockedValue { $0.stun }?.offer(to: device)
    }
}
