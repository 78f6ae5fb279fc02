// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import AditWire

/// Events as JSON objects: the stable interface for programs. Members are only ever added.
enum EventJSON {
    /// The object for one event; `own` is this device's name, as far as it is known.
    static func object(
        _ event: DeviceEvent,
        at time: ScreenTime,
        orders: [TunnelOrder],
        health: [String: TargetHealth],
        own: String,
        language: Language
    ) -> JSONLine {
        func seconds(_ duration: Duration) -> JSONLine.Value { .number(Int64(duration.inSeconds.rounded(.up))) }
        func milliseconds(_ duration: Duration) -> JSONLine.Value { .number(duration.wholeNanoseconds / 1_000_000) }
        let now = JSONLine.Value.number(time.seconds)
        switch event {
        case .connected(let facts):
            return JSONLine([
                "event": "connected", "time": now, "server": .string(facts.server.description),
                "serverName": .string(facts.serverName), "device": .string(facts.deviceName),
                "domain": .string(facts.domain), "fingerprint": facts.fingerprint.map { .string($0) },
                "roundTripMs": facts.roundTrip.map(milliseconds),
            ])
        case .waiting(let error, let retryIn):
            return JSONLine([
                "event": "waiting", "time": now, "error": .error(error, language), "retryInSeconds": seconds(retryIn),
            ])
        case .opened(let tunnel):
            let order = orders.first { $0.name == tunnel.name }
            var state = "open"
            if case .fails? = health[tunnel.name] { state = "held" }
            return JSONLine([
                "event": "tunnel", "time": now, "address": tunnel.addresses.first.map { .string($0) },
                "addresses": .strings(tunnel.addresses), "tunnel": .string(tunnel.name),
                "kind": order.map { .string($0.kind.rawValue) }, "target": order.map { .string($0.target.description) },
                "state": .string(state), "expiresAt": tunnel.expiresAt.map { .number($0) },
            ])
        case .refused(let name, let error, let retryIn):
            return JSONLine([
                "event": "refused", "time": now, "tunnel": .string(name), "error": .error(error, language),
                "retryInSeconds": retryIn.map(seconds),
            ])
        case .closed(let name, let error):
            return JSONLine([
                "event": "closed", "time": now, "tunnel": .string(name), "error": .error(error, language),
            ])
        case .health(let name, let now2):
            var object: KeyValuePairs<String, JSONLine.Value?> = [
                "event": "health", "time": now, "tunnel": .string(name),
            ]
            switch now2 {
            case .unknown: break
            case .answers(let status, let after):
                object = [
                    "event": "health", "time": now, "tunnel": .string(name), "answers": true,
                    "status": status.map { .number(Int64($0)) }, "afterMs": milliseconds(after),
                ]
            case .fails(let error):
                object = [
                    "event": "health", "time": now, "tunnel": .string(name), "answers": false,
                    "error": .error(error, language),
                ]
            }
            return JSONLine(object)
        case .hostRewritten(let name, let error):
            return JSONLine([
                "event": "hostRewritten", "time": now, "tunnel": .string(name), "error": .error(error, language),
            ])
        case .request(let name, let row):
            return JSONLine([
                "event": "request", "time": now, "tunnel": .string(name), "method": .string(row.method),
                "path": .string(row.path), "status": .number(Int64(row.status)),
                "durationMs": milliseconds(row.duration),
                "visitor": .string(row.visitor), "upgraded": .boolean(row.isUpgraded),
                "omitted": row.omitted == 0 ? nil : .number(Int64(row.omitted)),
            ])
        case .visitorCame(let name, let visitor):
            return JSONLine([
                "event": "visitor", "time": now, "tunnel": .string(name), "visitor": .string(visitor),
                "state": "came",
            ])
        case .visitorLeft(let name, let visitor, let visit):
            return JSONLine([
                "event": "visitor", "time": now, "tunnel": .string(name), "visitor": .string(visitor), "state": "left",
                "durationMs": milliseconds(visit.duration),
                "bytesIn": .number(Int64(clamping: visit.bytesIn)),
                "bytesOut": .number(Int64(clamping: visit.bytesOut)),
            ])
        case .turnedAway(let name, let turned):
            return JSONLine([
                "event": "turnedAway", "time": now, "tunnel": .string(name), "count": .number(Int64(turned.count)),
                "periodMs": milliseconds(turned.period), "reason": .string(turned.reason),
                "limit": turned.limit.isEmpty ? nil : .string(turned.limit),
            ])
        case .datagramVisitorCame(let name, let visitor):
            return JSONLine([
                "event": "visitor", "time": now, "tunnel": .string(name), "visitor": .string(visitor),
                "state": "came", "transport": "udp",
            ])
        case .datagramVisitorLeft(let name, let visit):
            return JSONLine([
                "event": "visitor", "time": now, "tunnel": .string(name),
                "visitor": .string(visit.visitor.address.description), "state": "left", "transport": "udp",
                "durationMs": milliseconds(visit.duration),
                "bytesIn": .number(Int64(visit.bytesIn)), "bytesOut": .number(Int64(visit.bytesOut)),
                "datagramsIn": .number(Int64(visit.datagramsIn)), "datagramsOut": .number(Int64(visit.datagramsOut)),
                "dropped": .number(Int64(visit.drops)),
            ])
        case .turnOffered(let offer):
            return JSONLine(["event": "turn", "time": now, "expiresAt": .number(offer.expiresAt)])
        case .path(let news): return path(news, now, own, language)
        case .service(let news): return ServiceJSON.object(news, now, language)
        case .visit(let news): return ServiceJSON.object(news, now, language)
        case .visiting(let place, let endpoint):
            return JSONLine([
                "event": "visiting", "time": now, "address": .string(endpoint.description),
                "device": .string(place.device), "service": .string(place.service),
            ])
        case .draining(let delay):
            return JSONLine(["event": "draining", "time": now, "reconnectAfterMs": milliseconds(delay)])
        case .ended(let error):
            return JSONLine(["event": "ended", "time": now, "error": error.map { .error($0, language) }])
        }
    }

    private static func path(
        _ news: PathNews,
        _ now: JSONLine.Value,
        _ own: String,
        _ language: Language
    ) -> JSONLine {
        var line = JSONLine(["event": "path", "time": now])
        switch news {
        case .changed(let peer, let report), .roundTrip(let peer, _, let report):
            line.add(PathJSON.members(peer.name, report, own: own, language))
        case .ended(let peer, let failure):
            line.add("peer", .string(peer.name))
            line.add("path", "none")
            line.add("error", .error(PathWords.failure(failure, peer.name), language))
        case .problem(let peer, let error):
            line.add("peer", .string(peer))
            line.add("error", .error(error, language))
        case .trace(let peer, let trace):
            line.add("peer", .string(peer.name))
            line.add("text", .string(trace.words.in(language)))
        case .opened(let peer, _), .received(let peer, _): line.add("peer", .string(peer.name))
        }
        return line
    }
}
