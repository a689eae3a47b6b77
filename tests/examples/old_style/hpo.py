# ruff: noqa
# mypy: ignore-errors
# As thousands of public scripts are, faults included: it is the client of test_old_style_project.
import argparse
import os

import torch
import torch.nn as nn
import torch.optim as optim
import torchvision
import torchvision.models as models
import torchvision.transforms as transforms


def test(model, test_loader, criterion):
    model.eval()
    running_loss = 0
    running_corrects = 0
    for inputs, labels in test_loader:
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        _, preds = torch.max(outputs, 1)
        running_loss += loss.item() * inputs.size(0)
        running_corrects += torch.sum(preds == labels.data)

    total_loss = running_loss / len(test_loader.dataset)
    total_acc = running_corrects.double() / len(test_loader.dataset)
    print("Testing Accuracy: {:.3f}".format(100 * total_acc))
    print("Testing Loss: {:.3f}".format(total_loss))


def train(model, train_loader, criterion, optimizer, epochs):
    for epoch in range(epochs):
        model.train()
        for batch_idx, (inputs, labels) in enumerate(train_loader):
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            print("Epoch {} batch {} Loss {:.3f}".format(epoch, batch_idx, loss.item()))
    return model


def net(num_classes):
    model = models.resnet50(pretrained=True)
    for param in model.parameters():
        param.requires_grad = False
    num_features = model.fc.in_features
    model.fc = nn.Sequential(
        nn.Linear(num_features, 128), nn.ReLU(inplace=True), nn.Linear(128, num_classes)
    )
    return model


def create_data_loaders(data, batch_size):
    transform = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    train_data = torchvision.datasets.ImageFolder(os.path.join(data, "train"), transform)
    test_data = torchvision.datasets.ImageFolder(os.path.join(data, "test"), transform)
    return (
        torch.utils.data.DataLoader(train_data, batch_size=batch_size, shuffle=True),
        torch.utils.data.DataLoader(test_data, batch_size=batch_size),
    )


def main(args):
    torch.manual_seed(0)
    train_loader, test_loader = create_data_loaders(args.data, args.batch_size)
    model = net(len(train_loader.dataset.classes))
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.fc.parameters(), lr=args.lr)
    model = train(model, train_loader, criterion, optimizer, args.epochs)
    test(model, test_loader, criterion)
    with open(os.path.join(args.model_dir, "model.pth"), "wb") as f:
        torch.save(model.cpu().state_dict(), f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--data", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--output_dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    args = parser.parse_args()
    print(args)
    main(args)
