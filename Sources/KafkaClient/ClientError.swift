// SPDX-License-Identifier: Apache-2.0
//
// ClientError.swift
// The one error of this module: a code, what was attempted, where, and whether trying again can help.

public import KafkaProtocol

/// Why a call to the cluster did not succeed.
public struct ClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of failure it was.
    ///
    /// New kinds may be added.
    public struct Code: Equatable, Sendable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case unreachable, timedOut, connectionLost, unsupportedVersion, malformedResponse, refused
            case corruptData, closed, invalidArgument
        }
        private let kind: Kind

        /// No connection could be made.
        public static let unreachable = Code(kind: .unreachable)
        /// The deadline passed first.
        ///
        /// The server may have acted nevertheless.
        public static let timedOut = Code(kind: .timedOut)
        /// The connection ended before the answer came.
        ///
        /// The server may have acted nevertheless.
        public static let connectionLost = Code(kind: .connectionLost)
        /// Client and broker have no version of the API in common.
        public static let unsupportedVersion = Code(kind: .unsupportedVersion)
        /// The answer breaks the protocol.
        public static let malformedResponse = Code(kind: .malformedResponse)
        /// The server answered with an error; see ``ClientError/kafka``.
        public static let refused = Code(kind: .refused)
        /// Record batches failed their checks.
        public static let corruptData = Code(kind: .corruptData)
        /// The client was closed.
        public static let closed = Code(kind: .closed)
        /// The caller asked for something that cannot be.
        public static let invalidArgument = Code(kind: .invalidArgument)

        /// The name of the case.
        public var description: String { kind.rawValue }
    }

    /// What kind of failure it was.
    public let code: Code
    /// What was attempted: `Metadata`, `create topic orders`.
    public let attempted: String
    /// Where: a broker's address, a topic or a partition.
    public let place: String
    /// The server's error; present exactly when the code is ``Code/refused``.
    public let kafka: KafkaErrorCode?
    /// What is known beyond the code, such as the server's message.
    public let detail: String?

    /// Creates an error that did not come from the server.
    public init(_ code: Code, attempted: String, place: String, detail: String? = nil) {
        self.code = code
        self.attempted = attempted
        self.place = place
        self.kafka = nil
        self.detail = detail
    }

    /// Creates an error that the server answered with.
    public init(refused kafka: KafkaErrorCode, attempted: String, place: String, detail: String? = nil) {
        self.code = .refused
        self.attempted = attempted
        self.place = place
        self.kafka = kafka
        self.detail = detail
    }

    /// Whether the same call may succeed later.
    public var isRetriable: Bool {
        switch code {
        case .unreachable, .timedOut, .connectionLost: true
        case .refused: kafka?.isRetriable ?? false
        default: false
        }
    }

    /// One sentence with everything that is known.
    public var description: String {
        let reason = kafka.map { "\($0.name)" } ?? code.description
        return "\(attempted) at \(place): \(reason)" + (detail.map { " (\($0))" } ?? "")
    }
}
