// SPDX-License-Identifier: Apache-2.0
//
// ClientSettings.swift
// Deadlines and limits of a client.

/// How a client behaves; the defaults suit a command line.
public struct ClientSettings: Sendable {
    /// Brokers to begin with, tried in order.
    public var bootstrap: [BrokerAddress]
    /// The name that the brokers' logs and quotas see.
    public var clientID = "goulette"
    /// How long a connection may take to be made, versions included.
    public var connectTimeoutMilliseconds: Int64 = 5_000
    /// How long one request may wait for its answer.
    public var requestTimeoutMilliseconds: Int64 = 15_000
    /// How long one call may take with all its retries.
    public var callTimeoutMilliseconds: Int64 = 30_000
    /// How long a call goes on trying when no connection can be made at all.
    public var reachTimeoutMilliseconds: Int64 = 5_000
    /// How long a call waits for a topic to appear that does not exist.
    public var topicTimeoutMilliseconds: Int64 = 2_000
    /// The first wait before a retry; it doubles, with jitter, up to ``backoffMaxMilliseconds``.
    public var backoffMilliseconds: Int64 = 50
    /// The longest wait before a retry.
    public var backoffMaxMilliseconds: Int64 = 1_000
    /// The largest answer that is accepted.
    public var responseBytesMax = 256 << 20
    /// The most requests that may wait for answers on one connection.
    public var inFlightMax = 1_000

    /// Creates settings with every default.
    public init(bootstrap: [BrokerAddress]) { self.bootstrap = bootstrap }
}

/// How long to wait before the next attempt: doubling, with the upper half drawn at random.
public struct Backoff: Sendable {
    private let first: Int64
    private let largest: Int64
    private var attempts = 0

    /// Creates a series that begins with `first` milliseconds.
    public init(firstMilliseconds first: Int64, largestMilliseconds largest: Int64) {
        precondition(first > 0 && largest >= first, "a backoff from \(first) to \(largest) ms")
        self.first = first
        self.largest = largest
    }

    /// The milliseconds to wait before the next attempt.
    public mutating func next(using random: inout some RandomNumberGenerator) -> Int64 {
        let doubled = attempts < 20 ? min(largest, first << Int64(attempts)) : largest
        attempts += 1
        return doubled / 2 + Int64.random(in: 0...(doubled - doubled / 2), using: &random)
    }

    /// Begins again, after a success.
    public mutating func reset() { attempts = 0 }
}
