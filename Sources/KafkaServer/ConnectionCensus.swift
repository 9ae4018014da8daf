// SPDX-License-Identifier: Apache-2.0
//
// ConnectionCensus.swift
// How many connections there are, in all and from each address.

import Synchronization

/// Decides whether one more connection is let in.
final class ConnectionCensus: Sendable {
    enum Verdict: Equatable, Sendable {
        case admitted
        case tooMany
        case tooManyFromAddress
    }

    private let totalMax: Int
    private let perAddressMax: Int
    private let counts = Mutex<(total: Int, byAddress: [String: Int])>((0, [:]))

    init(totalMax: Int, perAddressMax: Int) {
        self.totalMax = totalMax
        self.perAddressMax = perAddressMax
    }

    func admit(_ address: String) -> Verdict {
        counts.withLock { counts in
            guard counts.total < totalMax else { return .tooMany }
            let fromAddress = counts.byAddress[address, default: 0]
            guard fromAddress < perAddressMax else { return .tooManyFromAddress }
            counts.total += 1
            counts.byAddress[address] = fromAddress + 1
            return .admitted
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            guard let fromAddress = counts.byAddress[address] else { return }
            counts.total -= 1
            counts.byAddress[address] = fromAddress > 1 ? fromAddress - 1 : nil
        }
    }
}
