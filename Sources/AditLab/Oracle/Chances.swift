// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The probabilities behind the tactics for NATs whose next port is not known.
package enum Chances {
    /// How many ports a NAT draws from that uses all but the well-known ones, 1024 to 65535.
    package static let allPorts = 64_512

    /// That at least one of `probes` different ports, tried at random among `ports`, is one of `sockets` open ones:
    /// 1 - C(R-N, M) / C(R, M).
    package static func birthday(sockets: Int, probes: Int, ports: Int) -> Double {
        guard sockets > 0, probes > 0, ports > 0 else { return 0 }
        guard sockets + probes <= ports else { return 1 }
        var miss = 1.0
        for tried in 0..<probes { miss *= Double(ports - sockets - tried) / Double(ports - tried) }
        return 1 - miss
    }

    /// That two sides, each with `sockets` sockets on random ports and each socket with one random guess, have a pair
    /// whose guesses are both right: 1 - exp(-K^2 / (R1 R2)).
    package static func mutualBirthday(sockets: Int, ports: Int, otherPorts: Int) -> Double {
        1 - exponential(-Double(sockets) * Double(sockets) / (Double(ports) * Double(otherPorts)))
    }

    /// That one of `sockets` on random ports meets one of `window` guesses from a NAT whose own next port is known:
    /// 1 - exp(-N W / R).
    package static func sequenceAgainstRandom(sockets: Int, window: Int, ports: Int) -> Double {
        1 - exponential(-Double(sockets) * Double(window) / Double(ports))
    }

    /// That `window` guesses in a row cover the next port of a sequence, when others open `rate` flows per second
    /// (Poisson) in the `delay` seconds between the sample and the punch.
    package static func prediction(window: Int, rate: Double, delay: Double) -> Double {
        poisson(atMost: window - 1, mean: rate * delay)
    }

    /// That two sequences meet, when all `sockets` of each side send to the middle of the other's expected range: the
    /// range must not have moved by half of its length on either side.
    package static func sequenceWindow(sockets: Int, rates: (Double, Double), delay: Double) -> Double {
        let most = (sockets + 1) / 2 - 1
        return poisson(atMost: most, mean: rates.0 * delay) * poisson(atMost: most, mean: rates.1 * delay)
    }

    /// That two sequences meet, when the i-th socket of each side sends to the other's predicted port plus i: both ranges
    /// must not have moved at all.
    package static func aligned(rates: (Double, Double), delay: Double) -> Double {
        exponential(-(rates.0 + rates.1) * delay)
    }

    /// That a Poisson number with that mean is at most `count`.
    package static func poisson(atMost count: Int, mean: Double) -> Double {
        guard count >= 0 else { return 0 }
        guard mean > 0 else { return 1 }
        // Beyond this the sum below would underflow, and the answer is 0 or 1 to nine digits.
        guard mean < 600 else { return Double(count) > mean ? 1 : 0 }
        var term = exponential(-mean)
        var sum = term
        for step in 0..<count {
            term *= mean / Double(step + 1)
            sum += term
        }
        return min(1, sum)
    }

    /// The exponential function, by its series on a small argument that is squared again; good to twelve digits.
    static func exponential(_ x: Double) -> Double {
        guard x > -700 else { return 0 }
        var halvings = 0
        var small = x
        while small.magnitude > 0.25 {
            small /= 2
            halvings += 1
        }
        var term = 1.0
        var sum = 1.0
        for step in 1...12 {
            term *= small / Double(step)
            sum += term
        }
        for _ in 0..<halvings { sum *= sum }
        return sum
    }
}
