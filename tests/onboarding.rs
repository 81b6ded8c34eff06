//! Onboarding of a hub: each failure, and cancellation after every step.

use std::time::Duration;

use ezlo::{AccessPoint, Account, ClaimError, Credentials, Error, Hub, OnboardingError, Plan, Progress};
use ezlo_mock_cloud::{MockCloud, SetupFault};
use ezlo_protocol::mac::MacAddress;
use ezlo_testkit::within;

use crate::support::{account, plain, serial, started};

struct Rig {
    cloud: MockCloud,
    account: Account,
    access_point: AccessPoint,
    serial: String,
    mac: MacAddress,
}

impl Rig {
    async fn new() -> Self {
        // Long enough for the procedure to notice the absence of the hub.
        let cloud = started(MockCloud::builder().assumptions(|assumptions| assumptions.restart_ms = 250)).await;
        let account = account(&cloud).await;
        let fresh = &cloud.ready().hubs[1];
        let (api, root) = (fresh.ap.as_deref().unwrap(), fresh.ap_root.as_deref().unwrap());
        let access_point = AccessPoint::at(api, root).unwrap();
        let (serial, mac) = (fresh.serial.clone(), fresh.mac.parse().unwrap());
        Self { cloud, account, access_point, serial, mac }
    }

    fn plan() -> Plan {
        let mut plan = Plan::new("NETWORK_SSID", Some("WIFIPASS".into()));
        plan.absence_time = Duration::from_secs(1);
        plan.appear_time = Duration::from_secs(2);
        plan
    }

    async fn run(&self, plan: Plan, progress: impl FnMut(Progress) + Send) -> Result<Hub, Error> {
        let serial = serial(&self.serial);
        within(self.account.onboard(&self.access_point, plan, &serial, self.mac, progress)).await
    }

    async fn error(&self, plan: Plan) -> OnboardingError {
        match self.run(plan, |_| ()).await {
            Err(Error::Onboarding(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn inject(&self, fault: impl Into<Option<SetupFault>>) {
        self.cloud.hub(&self.serial).unwrap().set_setup_fault(fault.into());
    }
}

#[tokio::test]
async fn each_setup_fault_has_its_own_error() {
    let rig = Rig::new().await;
    let wrong = |ssid: &str, key: &str| Plan { ssid: ssid.into(), passkey: Some(key.into()), ..Rig::plan() };
    assert!(matches!(rig.error(wrong("Nowhere", "x")).await, OnboardingError::NoSuchNetwork { .. }));
    assert!(matches!(rig.error(wrong("NETWORK_SSID", "wrong-key")).await, OnboardingError::WrongPasskey { .. }));
    rig.inject(SetupFault::NoAccessPoint);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::NoAccessPoint(_)));
    rig.inject(SetupFault::EmptyScan);
    assert_eq!(rig.error(Rig::plan()).await, OnboardingError::EmptyScan);
    rig.inject(SetupFault::FiveGigahertzOnly);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::FiveGigahertzOnly { .. }));
    rig.inject(SetupFault::WeakSignal);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::WeakSignal { rssi: -94, .. }));
    rig.inject(SetupFault::KeepsRestarting);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::KeepsRestarting { times: 3 }));
    rig.inject(SetupFault::AddressUnstable);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::AddressUnstable { .. }));
    rig.inject(SetupFault::AccessPointVanishes);
    assert!(matches!(rig.error(Rig::plan()).await, OnboardingError::AccessPointVanished(_)));
}

#[tokio::test]
async fn a_hub_that_never_appears_is_reported() {
    let rig = Rig::new().await;
    rig.inject(SetupFault::NeverAppears);
    assert_eq!(rig.error(Rig::plan()).await, OnboardingError::NeverAppeared);
}

#[tokio::test]
async fn each_refusal_of_a_claim_has_its_own_error() {
    let mut rig = Rig::new().await;
    let right = (rig.serial.clone(), rig.mac);
    rig.mac = "AA:BB:CC:DD:EE:FF".parse().unwrap();
    assert_eq!(rig.error(Rig::plan()).await, OnboardingError::Claim(ClaimError::WrongMac));
    // The restart closed the access point, so the next attempts resume after that step.
    (rig.serial, rig.mac) = ("99999999".into(), right.1);
    assert_eq!(rig.error(Rig::plan().resume()).await, OnboardingError::Claim(ClaimError::UnknownSerial));
    let owner = rig.account;
    (rig.serial, rig.mac) = right;
    rig.account = within(Account::log_in(plain(&rig.cloud), &Credentials::new("test4521", "Ezlo@2021"))).await.unwrap();
    within(owner.claim(&serial(&rig.serial), rig.mac)).await.unwrap();
    assert_eq!(rig.error(Rig::plan().resume()).await, OnboardingError::Claim(ClaimError::OwnedByAnother));
    rig.account = owner;
    assert_eq!(rig.run(Rig::plan().resume(), |_| ()).await.unwrap().devices().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_restart_and_an_address_change_are_recovered_from() {
    let rig = Rig::new().await;
    rig.inject(SetupFault::RestartsOnce);
    let mut steps = Vec::new();
    rig.run(Rig::plan(), |progress| steps.push(progress)).await.unwrap();
    assert!(steps.contains(&Progress::JoiningAgain), "{steps:?}");
    let rig = Rig::new().await;
    rig.inject(SetupFault::AddressChanges);
    let mut steps = Vec::new();
    rig.run(Rig::plan(), |progress| steps.push(progress)).await.unwrap();
    let changed = Progress::AddressChanged { from: "192.168.1.50".into(), to: "192.168.1.51".into() };
    assert!(steps.contains(&changed), "{steps:?}");
}

#[tokio::test]
async fn onboarding_resumes_after_cancellation_at_any_step() {
    let whole = {
        let mut steps = 0;
        Rig::new().await.run(Rig::plan(), |_| steps += 1).await.unwrap();
        steps
    };
    assert!(whole >= 7, "{whole} steps");
    for cut in 1..=whole {
        let rig = Rig::new().await;
        let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
        let run = rig.run(Rig::plan(), move |progress| sender.try_send(progress).unwrap());
        tokio::pin!(run);
        for _ in 0..cut {
            tokio::select! {
                // Progress is received first, so the procedure is dropped at exactly that step.
                biased;
                progress = receiver.recv() => drop(progress),
                done = &mut run => assert_eq!((cut, done.is_ok()), (whole, true)),
            }
        }
        let hub = rig.run(Rig::plan().resume(), |_| ()).await;
        assert!(hub.is_ok(), "cancelled after step {cut}: {:?}", hub.err());
    }
}

#[tokio::test]
async fn the_control_api_sets_and_clears_setup_faults() {
    let rig = Rig::new().await;
    let control = ezlo_testkit::address(&rig.cloud.ready().control);
    let post = async |body: &'static str| {
        let line = format!("POST /hubs/{}/setup-fault", rig.serial);
        ezlo_testkit::http(control, &line, &[("content-type", "application/json")], body.as_bytes()).await.status
    };
    assert_eq!(post(r#"{"fault": "empty_scan"}"#).await, 200);
    assert_eq!(rig.error(Rig::plan()).await, OnboardingError::EmptyScan);
    assert_eq!(post(r#"{"fault": "no such fault"}"#).await, 400);
    assert_eq!(post(r#"{"fault": null}"#).await, 200);
    assert!(rig.run(Rig::plan(), |_| ()).await.is_ok());
}
