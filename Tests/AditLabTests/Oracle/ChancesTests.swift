// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditLab
import Testing

@Suite("The chances of guessing a port")
struct ChancesTests {
    @Test(
        "The birthday table",
        arguments: [
            (128, [0.12, 0.23, 0.29, 0.40, 0.64, 0.87, 0.98]),
            (256, [0.23, 0.40, 0.50, 0.64, 0.87, 0.98, 1.00]),
            (512, [0.40, 0.64, 0.75, 0.87, 0.98, 1.00, 1.00]),
        ]
    )
    func birthday(sockets: Int, expected: [Double]) {
        for (probes, chance) in zip([64, 128, 174, 256, 512, 1024, 2048], expected) {
            let computed = Chances.birthday(sockets: sockets, probes: probes, ports: Chances.allPorts)
            #expect(abs(computed - chance) < 0.0076, "\(sockets) \(probes) \(computed)")
        }
    }

    @Test("The thresholds of 50, 90, 99 and 99.9 percent")
    func thresholds() {
        for (probes, chance) in [(175, 0.5), (577, 0.9), (1148, 0.99), (1715, 0.999)] {
            #expect(Chances.birthday(sockets: 256, probes: probes, ports: Chances.allPorts) >= chance)
            #expect(Chances.birthday(sockets: 256, probes: probes - 5, ports: Chances.allPorts) < chance)
        }
        #expect(Chances.birthday(sockets: 600, probes: 500, ports: 1000) == 1)
        #expect(Chances.birthday(sockets: 0, probes: 500, ports: 1000) == 0)
    }

    @Test("The exact formula agrees with counting all draws of a small case")
    func exact() {
        // Two open ports of six, two probes: 6 of the 15 pairs of probes miss.
        #expect(abs(Chances.birthday(sockets: 2, probes: 2, ports: 6) - 9.0 / 15.0) < 1e-12)
    }

    @Test("Blocks")
    func blocks() {
        for (sockets, chance) in [(256, 0.02), (512, 0.06), (1024, 0.22), (2048, 0.63)] {
            #expect(abs(Chances.mutualBirthday(sockets: sockets, ports: 2048, otherPorts: 2048) - chance) < 0.006)
        }
        for (sockets, chance) in [(256, 0.22), (512, 0.63)] {
            #expect(abs(Chances.mutualBirthday(sockets: sockets, ports: 512, otherPorts: 512) - chance) < 0.006)
        }
        #expect(abs(Chances.mutualBirthday(sockets: 53_710, ports: 64_512, otherPorts: 64_512) - 0.5) < 0.001)
        #expect(abs(Chances.sequenceAgainstRandom(sockets: 1420, window: 1, ports: 2048) - 0.5) < 0.001)
    }

    /// Measured successes of 20 runs each, with 0.1 s between sample and punch: five standard errors are allowed.
    @Test(
        "Prediction in the presence of other people's flows",
        arguments: [
            (0.0, [20, 20, 20, 20]), (20.0, [0, 19, 20, 20]), (100.0, [0, 1, 20, 20]), (300.0, [0, 0, 1, 19]),
        ]
    )
    func prediction(rate: Double, measured: [Int]) {
        for (window, successes) in zip([1, 5, 20, 60], measured) {
            let chance = Chances.prediction(window: window, rate: rate, delay: 0.1)
            let error = max(0.03, (chance * (1 - chance) / 20).squareRoot())
            #expect(abs(chance - Double(successes) / 20) < 2.5 * error, "\(rate) \(window) \(chance)")
        }
    }

    @Test("Two sequences meet in the window, and aligned only without other people")
    func sequences() {
        #expect(Chances.sequenceWindow(sockets: 5, rates: (0, 0), delay: 0.1) == 1)
        #expect(Chances.sequenceWindow(sockets: 20, rates: (20, 20), delay: 0.1) > 0.99)
        #expect(Chances.sequenceWindow(sockets: 60, rates: (100, 100), delay: 0.1) > 0.9)
        #expect(Chances.sequenceWindow(sockets: 5, rates: (100, 100), delay: 0.1) < 0.01)
        #expect(Chances.aligned(rates: (0, 0), delay: 0.1) == 1)
        #expect(Chances.aligned(rates: (20, 20), delay: 0.1) < 0.02)
    }

    @Test("A Poisson sum is a probability that grows with the count, also for large means")
    func poisson() {
        #expect(abs(Chances.poisson(atMost: 0, mean: 2) - 0.135335283) < 1e-9)
        #expect(abs(Chances.poisson(atMost: 4, mean: 2) - 0.947346983) < 1e-9)
        for mean in [0.0, 0.5, 10, 100, 599, 700, 1e9] {
            var last = 0.0
            for count in stride(from: -1, through: 1500, by: 7) {
                let sum = Chances.poisson(atMost: count, mean: mean)
                #expect(sum >= last && sum <= 1)
                last = sum
            }
        }
    }
}
