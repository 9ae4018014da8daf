// SPDX-License-Identifier: Apache-2.0
//
// DiscoveryError.swift
// Why a directory of brokers could not be asked. None of it is final: it is asked again.

/// Why a step of discovery failed.
public enum DiscoveryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nobody answered; with the last reason.
    case unreachable(String)
    /// An answer came that says no.
    case refused(status: Int, body: String)
    /// An answer came that makes no sense.
    case notUnderstood(String)
    /// The lease of the registration is gone.
    case leaseLost
    /// Another broker has registered under this broker's id.
    case taken(by: String)

    /// A sentence for an operator.
    public var description: String {
        switch self {
        case .unreachable(let reason): "no endpoint answered: \(reason)"
        case .refused(let status, let body): "refused with status \(status): \(body.prefix(200))"
        case .notUnderstood(let what): "the answer is not understood: \(what)"
        case .leaseLost: "the lease of the registration has expired"
        case .taken(let other): "\(other) is registered under this broker's id"
        }
    }
}
