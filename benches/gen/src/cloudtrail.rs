//! CloudTrail log files: one JSON object {"Records":[...]} per file, nested as AWS writes it.
//! About 4 % of calls fail, half of those with an AccessDenied-like errorCode, more often for two "stolen" identities.

use crate::rng::{civil, mix, Rng, Zipf};
use std::io::Write;

const START: i64 = 1_761_955_200;
/// (event, service, read only, request parameters with # = random name)
const EVENTS: [(&str, &str, bool, &str); 16] = [
    ("AssumeRole", "sts", true, "{\"roleArn\":\"arn:aws:iam::111122223333:role/#\",\"roleSessionName\":\"#\",\"durationSeconds\":3600}"),
    ("GetObject", "s3", true, "{\"bucketName\":\"data-#\",\"Host\":\"data-#.s3.amazonaws.com\",\"key\":\"in/2025/#/#.json\"}"),
    ("PutObject", "s3", false, "{\"bucketName\":\"data-#\",\"key\":\"out/#.bin\",\"x-amz-acl\":\"private\",\"x-amz-server-side-encryption\":\"aws:kms\"}"),
    ("DescribeInstances", "ec2", true, "{\"instancesSet\":{\"items\":[{\"instanceId\":\"i-#\"},{\"instanceId\":\"i-#\"}]},\"filterSet\":{}}"),
    ("ListBuckets", "s3", true, "{\"Host\":\"s3.amazonaws.com\"}"),
    ("GetCallerIdentity", "sts", true, "null"),
    ("Decrypt", "kms", true, "{\"encryptionContext\":{\"aws:s3:arn\":\"arn:aws:s3:::data-#/in/#\"},\"encryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}"),
    ("CreateLogStream", "logs", false, "{\"logGroupName\":\"/aws/lambda/#\",\"logStreamName\":\"2025/11/01/[$LATEST]#\"}"),
    ("DescribeSecurityGroups", "ec2", true, "{\"securityGroupSet\":{},\"securityGroupIdSet\":{\"items\":[{\"groupId\":\"sg-#\"}]},\"filterSet\":{}}"),
    ("GetSecretValue", "secretsmanager", true, "{\"secretId\":\"prod/#\",\"versionStage\":\"AWSCURRENT\"}"),
    ("ListUsers", "iam", true, "{\"maxItems\":100}"),
    ("CreateAccessKey", "iam", false, "{\"userName\":\"#\"}"),
    ("PutRolePolicy", "iam", false, "{\"roleName\":\"#\",\"policyName\":\"#\",\"policyDocument\":\"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"*\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}"),
    ("RunInstances", "ec2", false, "{\"instancesSet\":{\"items\":[{\"imageId\":\"ami-#\",\"minCount\":1,\"maxCount\":4}]},\"instanceType\":\"p4d.24xlarge\",\"monitoring\":{\"enabled\":false}}"),
    ("Invoke", "lambda", false, "{\"functionName\":\"arn:aws:lambda:us-east-1:111122223333:function:#\"}"),
    ("ConsoleLogin", "signin", false, "null"),
];
const REGIONS: [&str; 5] = ["us-east-1", "us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2"];
const AGENTS: [&str; 5] = [
    "aws-sdk-go-v2/1.24.0 os/linux lang/go#1.21.5",
    "Boto3/1.34.11 md/Botocore#1.34.11 ua/2.0 os/linux#5.10",
    "console.amazonaws.com",
    "aws-cli/2.15.0 Python/3.11.6 Linux/6.1 exe/x86_64",
    "lambda.amazonaws.com",
];
const DENIED: [(u32, &str); 3] =
    [(70, "AccessDenied"), (20, "AccessDeniedException"), (10, "Client.UnauthorizedOperation")];
const OTHER_ERRORS: [&str; 4] =
    ["NoSuchKey", "ThrottlingException", "ResourceNotFoundException", "ValidationException"];

pub fn file(seed: u64, lo: u64, hi: u64, rows: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 0xc10d_0000 + lo);
    let (identities, addresses, names) = (Zipf::new(400, 1.0), Zipf::new(3000, 1.1), Zipf::new(2000, 0.9));
    let events = Zipf::new(EVENTS.len(), 1.0);
    let mut out = b"{\"Records\":[".to_vec();
    for i in lo..hi {
        if i > lo {
            out.push(b',')
        }
        let at = START + (i as f64 / rows as f64 * 3.0 * 86_400.0) as i64;
        let (y, m, d) = civil(at.div_euclid(86_400));
        let s = at.rem_euclid(86_400);
        let time = format!("{y}-{m:02}-{d:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60);
        let who = identities.draw(&mut rng);
        let stolen = who % 157 == 7;
        let (event, service, read, params) =
            EVENTS[if stolen { rng.below(16) as usize } else { events.draw(&mut rng) as usize }];
        write!(out, "{{\"eventVersion\":\"1.09\",\"userIdentity\":").unwrap();
        if who % 3 == 0 {
            write!(out, "{{\"type\":\"IAMUser\",\"principalId\":\"AIDA{who:012}\",\"arn\":\"arn:aws:iam::111122223333:user/dev{who}\",\"accountId\":\"111122223333\",\"accessKeyId\":\"AKIA{:012X}\",\"userName\":\"dev{who}\"}}", mix(who) >> 16).unwrap();
        } else {
            write!(out, "{{\"type\":\"AssumedRole\",\"principalId\":\"AROA{who:012}:s{0}\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/svc{who}/s{0}\",\"accountId\":\"111122223333\",\"accessKeyId\":\"ASIA{1:012X}\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROA{who:012}\",\"arn\":\"arn:aws:iam::111122223333:role/svc{who}\",\"accountId\":\"111122223333\",\"userName\":\"svc{who}\"}},\"attributes\":{{\"creationDate\":\"{time}\",\"mfaAuthenticated\":\"false\"}}}}}}", rng.below(5), mix(who ^ 5) >> 16).unwrap();
        }
        let address = mix(seed ^ addresses.draw(&mut rng) ^ 0xc7);
        let source = match rng.below(10) {
            0 => format!("{service}.amazonaws.com"),
            _ => {
                format!("{}.{}.{}.{}", address % 200 + 11, address >> 8 & 255, address >> 16 & 255, address >> 24 & 255)
            }
        };
        write!(out, ",\"eventTime\":\"{time}\",\"eventSource\":\"{service}.amazonaws.com\",\"eventName\":\"{event}\",\"awsRegion\":\"{}\",\"sourceIPAddress\":\"{source}\",\"userAgent\":\"{}\"", rng.pick(&REGIONS), rng.pick(&AGENTS)).unwrap();
        if rng.below(100) < if stolen { 60 } else { 4 } {
            if stolen || rng.below(2) == 0 {
                let code = rng.weighted(&DENIED);
                write!(out, ",\"errorCode\":\"{code}\",\"errorMessage\":\"User is not authorized to perform: {service}:{event} on resource: * because no identity-based policy allows the action\"").unwrap();
            } else {
                write!(out, ",\"errorCode\":\"{}\",\"errorMessage\":\"The request failed\"", rng.pick(&OTHER_ERRORS))
                    .unwrap();
            }
        }
        out.extend_from_slice(b",\"requestParameters\":");
        for (k, part) in params.split('#').enumerate() {
            if k > 0 {
                write!(out, "{:08x}", mix(names.draw(&mut rng)) as u32).unwrap()
            }
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b",\"responseElements\":null,\"additionalEventData\":{\"SignatureVersion\":\"SigV4\",\"CipherSuite\":\"ECDHE-RSA-AES128-GCM-SHA256\",\"bytesTransferredIn\":0,\"AuthenticationMethod\":\"AuthHeader\"},\"requestID\":\"");
        rng.uuid(&mut out);
        out.extend_from_slice(b"\",\"eventID\":\"");
        rng.uuid(&mut out);
        write!(out, "\",\"readOnly\":{read},\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Management\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"{service}.us-east-1.amazonaws.com\"}}}}").unwrap();
    }
    out.extend_from_slice(b"]}");
    out
}
