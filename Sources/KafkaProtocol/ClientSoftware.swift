// SPDX-License-Identifier: Apache-2.0
//
// ClientSoftware.swift
// What a client says of itself in ApiVersions, kept for the requests that follow on its connection.

internal import Synchronization

/// The name and version of a connection's client library (KIP-511).
public struct ClientSoftware: Equatable, Sendable {
    /// As `librdkafka`.
    public var name: String
    /// As `2.16.1`.
    public var version: String

    /// Makes a value.
    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

/// Where a connection keeps what its client said; one for each connection.
public final class ClientSoftwareNote: Sendable {
    private let state = Mutex<ClientSoftware?>(nil)

    /// Makes an empty note.
    public init() {}

    /// What the client said last; nil when it said nothing.
    ///
    /// Takes a lock that nobody else wants.
    public var value: ClientSoftware? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
