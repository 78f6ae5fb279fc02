// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

extension NATDiscovery {
    /// What to measure, and with whom.
    package struct Configuration: Sendable, Equatable {
        /// A STUN server.
        package struct Server: Sendable, Hashable {
            /// How the user named it.
            package var name: String
            /// Its address and port, the same for UDP and TCP.
            package var endpoint: IPEndpoint

            /// Makes it from its parts.
            package init(name: String, endpoint: IPEndpoint) {
                self.name = name
                self.endpoint = endpoint
            }
        }

        /// A page of the web whose answer is known, so that a sign-in page in its place shows.
        package struct WebCheck: Sendable, Hashable {
            /// Where it is.
            package var endpoint: IPEndpoint
            /// The host it is asked for.
            package var host: String
            /// Its path.
            package var path: String
            /// The status that it answers with.
            package var status: Int
            /// The body that it answers with; nil when any will do.
            package var body: [UInt8]?
            /// A field that the server's other answers have, in whose presence it is the server that answered.
            package var serverField: String?

            /// Makes it from its parts.
            package init(
                endpoint: IPEndpoint,
                host: String,
                path: String,
                status: Int,
                body: [UInt8]? = nil,
                serverField: String? = nil
            ) {
                self.endpoint = endpoint
                self.host = host
                self.path = path
                self.status = status
                self.body = body
                self.serverField = serverField
            }
        }

        /// How much is measured.
        package enum Extent: String, Sendable, Hashable {
            /// Access, mapping and filtering: what a program needs before it connects.
            case quick
            /// All but lifetimes.
            case full
            /// Also how long mappings live, which takes two minutes.
            case withLifetime
        }

        /// The servers, the best first, of both families; at most 8 are asked.
        package var servers: [Server]
        /// Pages of the web to look at; at most 4 are.
        package var webChecks: [WebCheck]
        /// Endpoints on ports 80 and 443 at which something listens, for networks that let nothing else out; at most 4.
        package var webEndpoints: [IPEndpoint]
        /// The interfaces and routers of this machine.
        package var network: LocalNetwork
        /// How much is measured.
        package var extent: Extent
        /// What the router answered to requests for a port, when it is known already.
        package var portMappings: [NATPortMappingAnswer]
        /// The silences after which a mapping is tried; at most 16.
        package var lifetimeWaits: [Duration]

        /// Makes it from its parts.
        package init(
            servers: [Server],
            webChecks: [WebCheck] = [],
            webEndpoints: [IPEndpoint] = [],
            network: LocalNetwork,
            extent: Extent = .full,
            portMappings: [NATPortMappingAnswer] = [],
            lifetimeWaits: [Duration] = [10, 20, 30, 45, 60, 90, 120].map { .seconds($0) }
        ) {
            self.servers = servers
            self.webChecks = webChecks
            self.webEndpoints = webEndpoints
            self.network = network
            self.extent = extent
            self.portMappings = portMappings
            self.lifetimeWaits = lifetimeWaits
        }
    }

    /// What the machine tells whoever runs it.
    package enum Event: Sendable, Equatable {
        /// A step begins.
        case progress(Step)
        /// Everything but the lifetimes is known; they are still being measured.
        case interim(NATReport)
        /// The machine has ended, and all its sockets are closed.
        case finished(NATReport)
    }

    /// The steps of a discovery, in their order.
    package enum Step: String, Sendable, Hashable, CaseIterable {
        /// Looking for servers that answer.
        case servers
        /// Mapping, filtering, path, hairpin, all at once.
        case behavior
        /// The address changed: everything once more.
        case restarted
        /// Waiting for mappings to end.
        case lifetime
    }
}
