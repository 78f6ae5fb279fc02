// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One request that is on its way to an app, and its response.
struct HTTPExchange {
    let request: HTTPVisitorRequest
    let route: HTTPRoute
    let begunAt: NIODeadline
    /// When the request began, in Unix milliseconds.
    let wallTime: Int64
    /// The request's head as the app gets it, kept for a second try.
    let block: HTTPRequestBlock
    /// The whole request has been passed to the app's end; the parser's end of one without a body may still wait.
    var isRequestComplete = false
    /// The head has been passed to the app's end, so that the body may follow.
    var isSent = false
    /// The connection to the app served an earlier request.
    var isReused = false
    var isRetried = false
    var informationalResponses = 0
    /// How the response is passed on, once its head is there.
    var plan: HTTPResponsePlan?
}

/// The timers of a visitor's connection or stream.
enum HTTPTimer: Hashable, Sendable {
    case requestHead
    case idle
    case requestBody
    case open
    case responseHead
    case visitorStall
    case halfClosed
    case linger
}

/// What waits to be handled, in the order of its arrival.
enum HTTPPendingPart {
    case part(HTTPServerRequestPart)
    /// The bytes behind what came before are not HTTP.
    case failure(HTTPRefusal)
}
