// SPDX-License-Identifier: Apache-2.0
//
// RegistrationInstance.swift
// When to register, renew and look again: a value that is told the time and what happened.

import Model

/// The life of a registration.
///
/// Registering and looking are two schedules that do not wait for each other. A step that failed is repeated after a
/// pause that doubles; a lease that could not be renewed for its whole length counts as lost.
struct RegistrationInstance: Sendable {
    enum Step: Hashable, Sendable {
        /// Make the registration.
        case register
        /// Keep it.
        case renew
        /// Ask who is there.
        case look
    }

    enum Outcome: Equatable, Sendable {
        case done
        /// It failed; the registration may still stand.
        case failed
        /// The directory knows of no such registration.
        case lost
    }

    /// The first pause after a failure.
    static let firstPauseMilliseconds: Int64 = 250

    private let leaseMilliseconds: Int64
    private let intervalMilliseconds: Int64
    private let registers: Bool

    private(set) var isRegistered = false
    private var renewedAt: Instant
    private var registrationDue: Instant
    private var lookDue: Instant
    private var registrationPause = firstPauseMilliseconds
    private var lookPause = firstPauseMilliseconds

    /// Nothing is registered yet; everything is due at once.
    ///
    /// Without `lease` there is nothing to register.
    init(lease: Duration?, interval: Duration, now: Instant) {
        registers = lease != nil
        leaseMilliseconds = max(1, (lease ?? .zero).wholeMilliseconds)
        intervalMilliseconds = max(1, interval.wholeMilliseconds)
        renewedAt = now
        registrationDue = now
        lookDue = now
    }

    /// What comes next, and when.
    var next: (step: Step, due: Instant) {
        if registers, registrationDue <= lookDue { return (isRegistered ? .renew : .register, registrationDue) }
        return (.look, lookDue)
    }

    /// Takes note of how a step ended.
    mutating func finished(_ step: Step, _ outcome: Outcome, at now: Instant) {
        switch step {
        case .look:
            let wait = outcome == .done ? intervalMilliseconds : min(lookPause, intervalMilliseconds)
            lookPause = outcome == .done ? Self.firstPauseMilliseconds : lookPause * 2
            lookDue = now.advanced(byMilliseconds: wait)
        case .register, .renew: registrationFinished(step, outcome, at: now)
        }
    }

    private mutating func registrationFinished(_ step: Step, _ outcome: Outcome, at now: Instant) {
        switch outcome {
        case .done:
            isRegistered = true
            renewedAt = now
            registrationPause = Self.firstPauseMilliseconds
            registrationDue = now.advanced(byMilliseconds: max(1, leaseMilliseconds / 3))
            // Others may have come at the same time.
            if step == .register { lookDue = min(lookDue, now) }
        case .lost:
            isRegistered = false
            registrationDue = now
        case .failed:
            if now.milliseconds(since: renewedAt) >= leaseMilliseconds { isRegistered = false }
            registrationDue = now.advanced(byMilliseconds: min(registrationPause, max(1, leaseMilliseconds / 3)))
            registrationPause = min(registrationPause * 2, leaseMilliseconds)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
