// SPDX-License-Identifier: Apache-2.0
//
// ByteCountTests.swift
// Sizes as people write and read them, and identifiers as tools print them.

import Model
import Testing

@Suite struct ByteCountTests {
    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (64 << 20, "64 MiB"),
        ((5 << 30) / 2, "2.5 GiB"),
        (3 << 40, "3 TiB"),
    ])
    func sizesArePrintedInTheLargestUnit(_ bytes: Int, _ text: String) {
        #expect(ByteCount(bytes).description == text)
    }

    @Test(arguments: [("64 MiB", 64 << 20), ("64MiB", 64 << 20), ("10 GB", 10_000_000_000), ("512", 512), ("7 B", 7)])
    func sizesAreRead(_ text: String, _ bytes: Int) {
        #expect(ByteCount(parsing: text) == ByteCount(bytes))
    }

    @Test(arguments: ["", "MiB", "-1", "1.5 MiB", "9223372036854775807 TiB", "1 XB"])
    func whatIsNoSizeIsRefused(_ text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    @Test func topicIDsPrintAsKafkaPrintsThem() {
        #expect(TopicID.zero.description == "AAAAAAAAAAAAAAAAAAAAAA")
        #expect(TopicID(high: .max, low: .max).description == "_____________________w")
    }

    @Test func termsAreLeaderEpochs() {
        #expect(Term(7).leaderEpoch == 7)
        #expect(LogIndex(5) - LogIndex(7) == -2)
    }
}
