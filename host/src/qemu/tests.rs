//! QEMU's command line for every machine, network and accelerator.

use super::*;

fn line(qemu: &Qemu) -> String {
    let boot = qemu.boot().unwrap();
    let initrd = boot.archive.is_some().then_some("ARCHIVE");
    qemu.command_line(&boot, "IMAGE", initrd).to_string()
}

fn tap() -> Network {
    Network::Tap {
        name: "tap0".to_owned(),
    }
}

#[test]
fn microvm_uses_modern_mmio_devices() {
    let qemu = Qemu::new("image")
        .accel(Accel::Tcg)
        .network(tap())
        .kernel_line("--log=info");
    assert_eq!(
        line(&qemu),
        "qemu-system-x86_64 -name stockade -machine microvm,acpi=on,rtc=on -accel tcg -cpu max -smp 1 -m 128 \
         -nodefaults -no-user-config -display none -serial stdio -no-reboot \
         -device isa-debug-exit,iobase=0xf4,iosize=4 -global virtio-mmio.force-legacy=false \
         -device virtio-rng-device \
         -netdev tap,id=net,ifname=tap0,script=no,downscript=no,vnet_hdr=on \
         -device virtio-net-device,netdev=net -kernel IMAGE -append --log=info"
    );
}

#[test]
fn q35_and_pc_use_modern_pci_devices_without_a_boot_rom() {
    for machine in [Machine::Q35, Machine::Pc] {
        let qemu = Qemu::new("image")
            .machine(machine)
            .accel(Accel::Tcg)
            .network(tap())
            .memory_mib(64);
        assert_eq!(
            line(&qemu),
            format!(
                "qemu-system-x86_64 -name stockade -machine {machine} -accel tcg -cpu max -smp 1 \
                 -m 64 -nodefaults -no-user-config -display none -serial stdio -no-reboot \
                 -device isa-debug-exit,iobase=0xf4,iosize=4 -device virtio-rng-pci \
                 -netdev tap,id=net,ifname=tap0,script=no,downscript=no,vnet_hdr=on \
                 -device virtio-net-pci,netdev=net,disable-legacy=on,romfile= -kernel IMAGE"
            )
        );
    }
}

#[test]
fn kvm_leaves_out_the_feature_that_aborts_qemu() {
    let qemu = Qemu::new("image").accel(Accel::Kvm);
    assert!(line(&qemu).contains(" -accel kvm -cpu max,-arch-capabilities "));
}

#[test]
fn firmware_is_named_only_where_it_is_not_the_machine_s_own() {
    let bios = |machine, firmware| {
        let text = line(&Qemu::new("image").machine(machine).firmware(firmware));
        text.split(" -bios ")
            .nth(1)
            .map(|rest| rest.split(' ').next().unwrap().to_owned())
    };
    assert_eq!(
        bios(Machine::Q35, Firmware::Qboot).as_deref(),
        Some("qboot.rom")
    );
    assert_eq!(
        bios(Machine::Pc, Firmware::Qboot).as_deref(),
        Some("qboot.rom")
    );
    assert_eq!(bios(Machine::Pc, Firmware::SeaBios), None);
    assert_eq!(bios(Machine::Microvm, Firmware::Qboot), None);
}

#[test]
fn a_tap_is_used_as_it_is_found() {
    let qemu = Qemu::new("image")
        .network(Network::Tap {
            name: "tap0".to_owned(),
        })
        .mac([2, 0, 0, 0, 0, 0x1f]);
    let text = line(&qemu);
    assert!(
        text.contains(" -netdev tap,id=net,ifname=tap0,script=no,downscript=no,vnet_hdr=on "),
        "{text}"
    );
    assert!(text.contains(",mac=02:00:00:00:00:1f "), "{text}");
}

#[test]
fn a_plain_card_offers_no_acceleration() {
    let text = line(&Qemu::new("image").network(tap()).plain_card(true));
    assert!(
        text.contains("virtio-net-device,netdev=net,csum=off,guest_csum=off,gso=off,"),
        "{text}"
    );
    assert!(text.contains(",mrg_rxbuf=off,event_idx=off "), "{text}");
}

#[test]
fn no_key_ever_stands_in_qemu_s_command_line() {
    let secret = "c2VjcmV0IGtleQ";
    let lines = [
        format!("--key=base64:{secret}"),
        format!("--key base64:{secret}"),
        format!("--accept=443 --cert=file:cert.pem --key=base64:{secret} --log=debug"),
        // Wrong, but still a secret.
        format!("--key={secret}"),
        format!("--key base64:{secret} --key=base64:{secret}"),
    ];
    for kernel_line in &lines {
        for machine in Machine::ALL {
            for accel in [Accel::Kvm, Accel::Tcg] {
                let qemu = Qemu::new("image")
                    .machine(machine)
                    .accel(accel)
                    .network(tap())
                    .kernel_line(kernel_line)
                    .file("key.pem", secret.as_bytes());
                let text = line(&qemu);
                assert!(!text.contains(secret), "{text}");
                assert!(text.contains(" -initrd ARCHIVE"), "{text}");
            }
        }
    }
}

#[test]
fn seabios_gets_no_line_longer_than_it_takes() {
    let kernel_line = format!("--connect={}:80", "a".repeat(5_000));
    let qemu = Qemu::new("image")
        .machine(Machine::Q35)
        .kernel_line(&kernel_line);
    assert!(!line(&qemu).contains("-append"));
    let qemu = qemu.firmware(Firmware::Qboot);
    assert!(line(&qemu).contains("-append"));
}

#[test]
fn a_channel_is_one_console_port_on_a_socket_that_is_handed_down() {
    let (socket, _ours) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = Arc::new(OwnedFd::from(socket));
    let number = socket.as_raw_fd();
    for (machine, bus) in [
        (Machine::Microvm, "virtio-serial-device,max_ports=1"),
        (
            Machine::Q35,
            "virtio-serial-pci,disable-legacy=on,max_ports=1",
        ),
        (
            Machine::Pc,
            "virtio-serial-pci,disable-legacy=on,max_ports=1",
        ),
    ] {
        let qemu = Qemu::new("image").machine(machine);
        assert!(!line(&qemu).contains("console"));
        let text = line(&qemu.channel(Arc::clone(&socket)));
        let expected = format!(
            " -chardev socket,id=channel,fd={number} -device {bus} \
             -device virtconsole,chardev=channel -kernel "
        );
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn the_rootless_network_is_a_stream_of_large_frames_from_a_known_card() {
    let (link, _ours) = std::os::unix::net::UnixStream::pair().unwrap();
    let link = crate::RootlessLink::from(OwnedFd::from(link));
    let number = link.descriptor().as_raw_fd();
    for (machine, card) in [
        (Machine::Microvm, "virtio-net-device,netdev=net"),
        (
            Machine::Q35,
            "virtio-net-pci,netdev=net,disable-legacy=on,romfile=",
        ),
    ] {
        let network = Network::Rootless(link.clone());
        let text = line(&Qemu::new("image").machine(machine).network(network));
        let expected = format!(
            " -netdev stream,id=net,addr.type=fd,addr.str={number} \
             -device {card},host_mtu=65000,mac=52:54:00:53:74:02 "
        );
        assert!(text.contains(&expected), "{text}");
    }
}
